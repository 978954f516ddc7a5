"""Inner loops in plain Python that numba compiles where it is installed; without it others do the work."""
