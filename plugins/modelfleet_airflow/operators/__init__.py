"""Operators that run a Beam job as a process of its own."""
