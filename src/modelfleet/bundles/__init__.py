"""Bundles: immutable folders that hold a complete fleet and nothing that can execute."""
