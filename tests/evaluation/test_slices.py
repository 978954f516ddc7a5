"""The slice table: each slice is measured as if it were a holdout of its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.data.schema import Feature, Schema
from modelfleet.evaluation.slices import slice_schema, slice_shard
from modelfleet.evaluation.table import HoldoutShard, Standing, evaluate_shard
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task
from modelfleet.spec.gate import GatePolicy

FEATURES = (Feature(name="x", type=ColumnType.NUMBER),)
BINARY = Schema(entity=("e",), target="y", task=Task.BINARY, classes=("no", "yes"), features=FEATURES)


def _holdout(target: np.ndarray, bounds: list[int], hashes: np.ndarray) -> HoldoutShard:
    size = len(bounds) - 1
    return HoldoutShard(
        entities=tuple(f"e{i}" for i in range(size)),
        bounds=np.array(bounds, dtype=np.int64),
        target=target,
        row_hash=hashes.astype(np.uint64),
        rows_train=np.zeros(size, dtype=np.int64),
        rows_validation=np.zeros(size, dtype=np.int64),
    )


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2), st.sampled_from(["north", "south", None]), st.integers(0, 1), st.floats(0, 1),
            st.floats(0, 1), st.integers(0, 4),
        ),
        max_size=30,
    )
)  # fmt: skip
def test_a_slice_is_measured_like_a_holdout(rows: list[tuple[int, str | None, int, float, float, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[0])
    own, region, target, one, other, content = (
        (list(column) for column in zip(*rows, strict=True)) if rows else [[]] * 6
    )
    target = np.array(target, dtype=float)
    # what a row holds decides its hash: rows of two regions never share one
    hashes = np.array([10 * c + ["north", "south", None].index(r) for c, r in zip(content, region, strict=True)])
    p = {
        who: np.column_stack([1 - np.array(score, dtype=float), np.array(score, dtype=float)])
        for who, score in (("candidate", one), ("champion", other))
    }
    bounds = [0, *np.cumsum(np.bincount(np.array(own, dtype=int), minlength=3))]
    found = slice_shard(
        BINARY, GatePolicy(), _holdout(target, bounds, hashes), p, {"region": pa.array(region, pa.string())}
    )
    assert found.schema == slice_schema(Task.BINARY)
    expected = sorted({(e, r) for e, r in zip(own, region, strict=True)}, key=lambda key: (key[0], key[1] or "~"))
    assert [(f"e{e}", r) for e, r in expected] == list(
        zip(found["entity"].to_pylist(), found["value"].to_pylist(), strict=True)
    )
    for row, (e, r) in zip(found.to_pylist(), expected, strict=True):
        at = np.array([(a, b) == (e, r) for a, b in zip(own, region, strict=True)])
        alone = _holdout(target[at], [0, int(at.sum())], hashes[at])
        standing = Standing(np.ones(1, dtype=bool), np.ones(1, dtype=bool))
        (whole,) = evaluate_shard(
            BINARY, GatePolicy(), alone, {who: values[at] for who, values in p.items()}, standing
        ).to_pylist()
        for name in found.column_names[3:]:
            assert row[name] == pytest.approx(whole[name], nan_ok=True) or row[name] == whole[name], name


def test_columns_of_every_kind_and_a_model_that_is_not_there() -> None:
    holdout = _holdout(np.array([0.0, 1.0, 1.0]), [0, 2, 3], np.arange(3))
    values = {
        "rainy": pa.chunked_array([[True, None], [False]]),
        "floor": pa.chunked_array([pa.array([10, 9, 9])]),
        "region": pa.chunked_array([pa.array(["b", "a", "b"]).dictionary_encode()]),
    }
    p = np.array([[0.5, 0.5]] * 3)
    found = slice_shard(BINARY, GatePolicy(), holdout, {"candidate": p, "champion": None}, values).to_pylist()
    assert [(row["entity"], row["column"], row["value"]) for row in found] == [
        ("e0", "rainy", "true"), ("e0", "rainy", None), ("e1", "rainy", "false"),
        ("e0", "floor", "9"), ("e0", "floor", "10"), ("e1", "floor", "9"),
        ("e0", "region", "a"), ("e0", "region", "b"), ("e1", "region", "b"),
    ]  # fmt: skip
    for row in found:
        assert row["candidate_loss"] == 0.25 and np.isnan(row["champion_loss"])
        assert row["undefined_champion"] == "no_prediction" and "roc_auc: class_absent" in row["undefined_candidate"]


def test_nothing_to_slice() -> None:
    empty = _holdout(np.empty(0), [0], np.empty(0))
    assert slice_shard(BINARY, GatePolicy(), empty, {}, {"r": pa.chunked_array([], pa.string())}).num_rows == 0
    assert slice_shard(BINARY, GatePolicy(), empty, {}, {}).schema == slice_schema(Task.BINARY)
