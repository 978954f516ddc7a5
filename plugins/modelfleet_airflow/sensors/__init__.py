"""Sensors that wait for the streaming job."""
