from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelfleet.spec import FleetSpec, load_spec

SMALLEST = """
fleet: sales
entity: store
task: regression
data:
  source: sales.parquet
  target: demand
"""


@pytest.fixture
def smallest() -> str:
    """The six lines a small spec needs."""
    return SMALLEST


@pytest.fixture
def load(tmp_path: Path) -> Callable[[str], FleetSpec]:
    """Load a spec from its text."""

    def load_text(text: str) -> FleetSpec:
        path = tmp_path / "fleets" / "sales.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return load_spec(path)

    return load_text


@pytest.fixture
def document() -> dict[str, Any]:
    """A parsed spec with named columns, one per role."""
    return {
        "fleet": "sales",
        "entity": ["country", "store"],
        "task": "binary",
        "data": {
            "source": "/data/sales.csv",
            "target": "sold_out",
            "columns": {
                "country": "category",
                "store": {"type": "integer", "role": "entity"},
                "sold_out": "boolean",
                "sale": {"type": "integer", "role": "row_id"},
                "basket": {"type": "text", "role": "group"},
                "price": "number",
                "colour": {"type": "category", "max_levels": 5},
                "day": {"type": "date", "role": "ignore"},
            },
        },
    }
