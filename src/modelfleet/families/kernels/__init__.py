"""Compiled inner loops. Each is plain Python that numba compiles where it is installed; without it others do the work."""
