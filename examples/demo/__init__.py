"""The demo: the whole loop on the Adult data, before your eyes."""
