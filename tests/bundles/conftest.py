from __future__ import annotations

import pytest

from modelfleet.families import catalog
from tests.bundles import constant_family


@pytest.fixture(scope="session")
def constant():
    """The module ``constant_family``, whose families can be had by the names ``constant`` and ``bound``."""
    return constant_family


@pytest.fixture(autouse=True)
def families(monkeypatch):
    monkeypatch.setitem(catalog.BUILT_IN, "constant", f"{constant_family.__name__}:ConstantFamily")
    monkeypatch.setitem(catalog.BUILT_IN, "bound", f"{constant_family.__name__}:BoundFamily")
