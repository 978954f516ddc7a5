"""Inference: every column gets a type, a role and a reason; nothing is dropped in silence."""

from __future__ import annotations

import datetime
import random

import pyarrow as pa
import pytest

from modelfleet.data.inference import InferredColumn, infer_columns, infer_missing, infer_task
from modelfleet.data.sample import read_sample
from modelfleet.errors import DataError
from modelfleet.spec import Task

from .conftest import REPOSITORY, MakeSpec, csv_text

ROWS = 400


def shop() -> pa.Table:
    draw = random.Random(3)
    return pa.table(
        {
            "store": [f"s{i % 4}" for i in range(ROWS)],
            "sale_id": range(1000, 1000 + ROWS),
            "uuid": [f"{draw.getrandbits(64):016x}" for _ in range(ROWS)],
            "customer_id": [draw.randrange(90) for _ in range(ROWS)],
            "basket_id": [draw.randrange(200) for _ in range(ROWS)],
            "sold_on": [f"2024-03-{i % 28 + 1:02d}" for i in range(ROWS)],
            "stamp": [datetime.datetime(2024, 1, 1, i % 24) for i in range(ROWS)],
            "day": [str(20240100 + i % 28 + 1) for i in range(ROWS)],
            "comment": [f"the customer number {i} was happy" for i in range(ROWS)],
            "zip": [f"0{i % 80:03d}" for i in range(ROWS)],
            "price": [round(draw.random() * 10, 2) for _ in range(ROWS)],
            "count": [draw.randrange(9) for _ in range(ROWS)],
            "member": [draw.choice(["yes", "no"]) for _ in range(ROWS)],
            "colour": [draw.choice(["red", "blue"]) for _ in range(ROWS)],
            "body_mass_index": [draw.randrange(15, 60) for _ in range(ROWS)],
            "currency": ["EUR"] * ROWS,
            "void": pa.nulls(ROWS, pa.string()),
            "demand": [draw.random() for _ in range(ROWS)],
        }
    )


@pytest.fixture(scope="module")
def inferred() -> dict[str, InferredColumn]:
    return infer_columns(shop(), entity=["store"], target="demand")


@pytest.mark.parametrize(
    ("name", "kind", "role", "reason"),
    [
        ("store", "category", "entity", "4 of them"),
        ("demand", "number", "target", "400 distinct"),
        ("sale_id", "integer", "row_id", "no two of the 400 rows"),
        ("uuid", "category", "ignore", "'sale_id' already has the role row_id"),
        ("customer_id", "integer", "group", "a repeating id"),
        ("basket_id", "integer", "ignore", "'customer_id' already has the role group"),
        ("sold_on", "date", "ignore", "IGNORED: it is a date"),
        ("stamp", "date", "ignore", "IGNORED: it is a date"),
        ("day", "date", "ignore", "IGNORED: it is a date"),
        ("comment", "text", "ignore", "IGNORED: it is free text"),
        ("zip", "category", "feature", "80 levels, of which the 50 most frequent are kept (62% of the rows)"),
        ("price", "number", "feature", "distinct numbers"),
        ("count", "integer", "feature", "9 distinct whole numbers"),
        ("member", "boolean", "feature", "2 distinct truths"),
        ("colour", "category", "feature", "2 levels"),
        ("body_mass_index", "integer", "feature", "whole numbers"),
        ("currency", "category", "ignore", "'EUR' in every row"),
        ("void", "text", "ignore", "no value in any row"),
    ],
)
def test_roles_and_reasons(inferred: dict[str, InferredColumn], name: str, kind: str, role: str, reason: str) -> None:
    found = inferred[name]
    assert (found.column.type, found.column.role) == (kind, role)
    assert reason in found.reason
    assert found.rows == ROWS


def test_no_column_is_left_out(inferred: dict[str, InferredColumn]) -> None:
    assert list(inferred) == shop().column_names
    assert inferred["zip"].column.max_levels == 50
    assert inferred["void"].missing == ROWS
    assert all(one.reason and "\n" not in one.reason for one in inferred.values())


@pytest.mark.parametrize(
    ("values", "task"),
    [
        (["a", "b"] * 9, Task.BINARY),
        ([0, 1] * 9, Task.BINARY),
        (["a", "b", "c"] * 6, Task.MULTICLASS),
        ([1, 2, 3] * 6, Task.MULTICLASS),
        (list(range(100)), Task.REGRESSION),
        ([0.5, 1.5, 2.5] * 6, Task.REGRESSION),
        (["1.5", "?", "2.5", "3"], Task.REGRESSION),
    ],
)
def test_tasks(values: list[object], task: Task) -> None:
    assert infer_task(pa.table({"y": values}), "y", missing=["?"])[0] is task


def test_a_target_without_two_values() -> None:
    with pytest.raises(DataError, match=r"the target 'y' has 1 distinct value\(s\); expected at least 2"):
        infer_task(pa.table({"y": ["a", "a", ""]}), "y")
    with pytest.raises(DataError, match="no column 'x'; valid are: y"):
        infer_task(pa.table({"y": ["a"]}), "x")


def test_missing_markers_are_found_where_they_are_unmistakable() -> None:
    table = pa.table({"n": ["1", "-", "2"], "c": ["-", "x", "?"], "d": ["none", "x", "y"], "f": [1.0, 2.0, None]})
    assert infer_missing(table) == ("-", "?")


def test_types_hold_with_markers_and_gaps() -> None:
    table = pa.table({"e": ["a", "b"] * 30, "x": ["?", "3"] * 30, "y": list("uv") * 30, "z": [1.0, None, 3.0] * 20})
    columns = infer_columns(table, entity=["e"], target="y", missing=["?"])
    assert columns["x"].column.type == "integer"
    assert columns["x"].missing == 30
    assert columns["z"].column.type == "integer"  # pandas made floats of whole numbers with gaps


def test_adult_by_its_own_file() -> None:
    spec_columns = ["age", "education", "income"]
    table = read_sample(str(REPOSITORY / "examples/adult/adult.data"), rows=5_000)
    assert len(table) == 5_000
    assert len(spec_columns) < table.num_columns == 15


def test_reading_a_sample_of_mixed_files(make_spec: MakeSpec) -> None:
    spec = make_spec(csv_text(["key", "y"], [["a", 1]] * 9))
    assert len(read_sample(spec.data, rows=4)) == 4
    assert read_sample(spec.data)["y"].to_pylist() == ["1"] * 9
