from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from modelfleet.families import catalog


@pytest.fixture(scope="session")
def constant():
    """The module ``constant_family``, whose families can be had by the names ``constant`` and ``bound``."""
    name = "constant_family"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(autouse=True)
def families(constant, monkeypatch):
    monkeypatch.setitem(catalog.BUILT_IN, "constant", "constant_family:ConstantFamily")
    monkeypatch.setitem(catalog.BUILT_IN, "bound", "constant_family:BoundFamily")
