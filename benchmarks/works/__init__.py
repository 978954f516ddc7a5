"""One work per file: which sides run, and how their figures become results."""
