"""One model per entity, for thousands of entities, kept fresh and served without a pause."""

__version__ = "0.1.0"
