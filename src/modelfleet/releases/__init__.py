"""Releases: numbered manifests that say which bundle serves. Light imports only: DAG files load this."""
