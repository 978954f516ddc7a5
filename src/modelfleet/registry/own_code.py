"""Our own source as it travels inside a registered model: what loading and predicting need, and no more."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import modelfleet

PACKAGES = ("bundles", "data", "evaluation", "families", "registry", "releases", "serving", "signing", "spec", "stores")
"""The packages that a model may come to, however it is asked; those that make models stay at home."""


@contextmanager
def own_code() -> Iterator[Path]:
    """Give a folder ``modelfleet`` for MLflow to copy, twice: with half of the files it takes half of the time."""
    source = Path(modelfleet.__file__).parent
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, source.name)
        folder.mkdir()
        alone = [path for path in source.glob("*.py") if path.name != "__main__.py"]
        for path in [*alone, *(source / package for package in PACKAGES)]:
            (folder / path.name).symlink_to(path)
        yield folder
