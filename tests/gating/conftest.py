"""Evaluation tables made by hand: what the gate's rules are tried on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.evaluation.table import evaluation_schema
from modelfleet.spec.fleet import Task

Row = dict[str, Any]


def evaluated(entity: str = "Masters", **changes: Any) -> Row:
    """Return a row of a candidate that is clearly better than its champion, on 340 rows."""
    row: Row = {
        field.name: (np.nan if field.type == pa.float64() else None) for field in evaluation_schema(Task.BINARY)
    }
    row |= {
        "entity": entity, "kind": "entity", "rows_train": 900, "rows_validation": 0, "rows_holdout": 340,
        "rows_independent": 340, "has_candidate": True, "has_champion": True, "failure": None, "unchanged": False,
        "candidate_loss": 0.121, "candidate_accuracy": 0.84, "champion_loss": 0.139, "pooled_loss": 0.130,
        "baseline_loss": 0.180, "diff_champion_mean": -0.018, "diff_champion_se": 0.006, "diff_champion_n": 340,
        "diff_pooled_mean": -0.009, "diff_pooled_se": 0.006, "diff_pooled_n": 340, "diff_baseline_mean": -0.059,
        "diff_baseline_se": 0.01, "diff_baseline_n": 340, "reference_valid": True, "reference_note": "",
    }  # fmt: skip
    return row | changes


def first(entity: str = "Masters", **changes: Any) -> Row:
    """Return a row of an entity that nothing serves yet."""
    none = {"has_champion": False, "champion_loss": np.nan, "diff_champion_mean": np.nan, "diff_champion_se": np.nan}
    return evaluated(entity, **{**none, "diff_champion_n": 0, **changes})


def shared(**changes: Any) -> Row:
    """Return the pooled model's row: better than the champion bundle's."""
    none = {"pooled_loss": np.nan, "diff_pooled_mean": np.nan, "diff_pooled_se": np.nan, "diff_pooled_n": 0}
    return evaluated("", **{"kind": "pooled", **none, **changes})


def table(*rows: Row) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=evaluation_schema(Task.BINARY))


@pytest.fixture(scope="session")
def case() -> SimpleNamespace:
    """The makers above; a fixture because test modules cannot import one another."""
    return SimpleNamespace(evaluated=evaluated, first=first, shared=shared, table=table)
