"""The evaluation table: its columns, what absence looks like, and that its parts agree with each other."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from modelfleet.data.schema import Feature, Schema
from modelfleet.evaluation.table import HoldoutShard, Standing, evaluate_shard, evaluation_schema
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task
from modelfleet.spec.gate import GatePolicy


def _schema(task: Task) -> Schema:
    classes = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c"), Task.REGRESSION: ()}[task]
    features = (Feature(name="x", type=ColumnType.NUMBER),)
    return Schema(entity=("store",), target="y", task=task, classes=classes, features=features)


def _holdout(target: list[float], bounds: list[int], hashes: list[int] | None = None) -> HoldoutShard:
    entities = tuple(f"e{i}" for i in range(len(bounds) - 1))
    size = len(entities)
    return HoldoutShard(
        entities=entities,
        bounds=np.array(bounds, dtype=np.int64),
        target=np.array(target, dtype=float),
        row_hash=np.array(range(len(target)) if hashes is None else hashes, dtype=np.uint64),
        rows_train=np.full(size, 30, dtype=np.int64),
        rows_validation=np.zeros(size, dtype=np.int64),
    )


def _standing(size: int, **changes: object) -> Standing:
    return Standing(np.ones(size, dtype=bool), np.ones(size, dtype=bool), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", list(Task))
def test_columns_and_an_empty_holdout(task: Task) -> None:
    schema = _schema(task)
    holdout = _holdout([0.0, 1.0], [0, 2, 2])
    p = np.full((2, schema.outputs), 1 / schema.outputs)
    table = evaluate_shard(schema, GatePolicy(), holdout, {"candidate": p, "champion": p}, _standing(2))
    assert table.schema == evaluation_schema(task)
    first, second = table.to_pylist()
    assert first["rows_independent"] == 2 and first["diff_champion_n"] == 2 and first["diff_champion_mean"] == 0
    assert second["rows_independent"] == 0 and np.isnan(second["candidate_loss"]) and second["diff_champion_n"] == 0
    assert np.isnan(first["pooled_loss"]) and first["diff_pooled_n"] == 0
    assert first["reference_valid"] and first["reference_note"] == ""


def test_a_shard_without_entities() -> None:
    table = evaluate_shard(_schema(Task.BINARY), GatePolicy(), _holdout([], [0]), {}, _standing(0))
    assert table.num_rows == 0 and table.schema == evaluation_schema(Task.BINARY)


def test_the_difference_is_the_difference_of_the_losses() -> None:
    draw = np.random.default_rng(3)
    y = draw.integers(0, 2, 40).astype(float)
    score = {who: draw.uniform(size=(40, 1)) for who in ("candidate", "champion", "pooled", "baseline")}
    p = {who: np.hstack([1 - s, s]) for who, s in score.items()}
    holdout = _holdout(list(y), [0, 25, 40], [int(h) for h in draw.integers(0, 12, 40)])
    for row in evaluate_shard(_schema(Task.BINARY), GatePolicy(), holdout, p, _standing(2)).to_pylist():
        for reference in ("champion", "pooled", "baseline"):
            expected = row["candidate_loss"] - row[f"{reference}_loss"]
            assert row[f"diff_{reference}_mean"] == pytest.approx(expected)


def test_standing_is_told() -> None:
    standing = _standing(
        2, unchanged=np.array([False, True]), failures={"e0": "one class"}, reference_note={"e1": "other split"}
    )
    table = evaluate_shard(_schema(Task.BINARY), GatePolicy(), _holdout([], [0, 0, 0]), {}, standing)
    assert table["failure"].to_pylist() == ["one class", None]
    assert table["unchanged"].to_pylist() == [False, True]
    assert table["reference_valid"].to_pylist() == [True, False]
    whole = _standing(2, reference_note="other split")
    table = evaluate_shard(_schema(Task.BINARY), GatePolicy(), _holdout([], [0, 0, 0]), {}, whole)
    assert not pc.any(table["reference_valid"]).as_py()
