"""Pipelines of one's own around Beam's RunInference; docs/plain-beam.md tells their story."""
