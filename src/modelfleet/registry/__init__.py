"""The model registry: what a run did, and one version per fleet. Never one per entity."""
