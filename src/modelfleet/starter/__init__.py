"""A first spec for a data file: everything inferred, every choice with its reason."""
