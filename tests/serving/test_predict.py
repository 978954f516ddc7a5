"""Every row has an outcome or a reason, and a bad row costs no other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.schema import Feature
from modelfleet.serving.loading import LoadedFleet, load_bundle
from modelfleet.serving.predict import Failure, Prediction, predict_rows
from modelfleet.spec.data import ColumnType

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2)


def load(bundle: Any) -> LoadedFleet:
    return load_bundle(bundle, fleet="sales", generation=7)


def row(**changes: Any) -> dict[str, Any]:
    return {
        key: value for key, value in ({"store": "a", "x": 1.0, "colour": "red"} | changes).items() if value is not ...
    }


def reasons(results: list[Prediction | Failure]) -> list[str | None]:
    return [result.reason if isinstance(result, Failure) else None for result in results]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"x": "many"}, "column 'x' is 'many': expected a number"),
        ({"x": True}, "column 'x' is True: expected a number"),
        ({"x": [1]}, "column 'x' is [1]: expected a"),
        ({"colour": {"a": 1}}, "column 'colour' is {\"a\": 1}: expected a plain value"),
        ({"x": 10**400}, "expected a number"),
        ({"x": ...}, "no column 'x'"),
        ({"store": ...}, "no column 'store', which says whose it is"),
        ({"store": None}, "belongs to no entity: 'store' must not be empty"),
        ({"store": "  "}, "belongs to no entity"),
        ({"store": "?"}, "belongs to no entity"),
        ({"store": ["a"]}, "column 'store' is [\"a\"]: expected a plain value"),
        ({"x": 13.0}, "the model's prediction is not finite: [inf]"),
        ({"x": 666.0}, "the model failed: ArithmeticError: 666 is not liked here"),
    ],
)
def test_a_bad_row_is_told_why_and_costs_no_other(shop: Any, changes: dict[str, Any], says: str) -> None:
    rows = [row(), row(**changes), row(store="b"), row(store="c"), row(store="new")]
    results = predict_rows(load(shop.bundle()), rows)
    assert says in str(reasons(results)[1])
    others = [result.prediction for result in results if isinstance(result, Prediction)]
    assert others == [101.0, 201.0, 301.0, 1001.0]


def test_missing_values_and_unknown_columns_and_levels_are_fine(shop: Any) -> None:
    rows = [row(x=None), row(x="?"), row(x=""), row(x="2.5"), row(colour=None), row(colour="green"), row(other=[1])]
    results = predict_rows(load(shop.bundle()), rows)
    assert reasons(results) == [None] * len(rows)
    assert [result.prediction for result in results[:4] if isinstance(result, Prediction)] == [100, 100, 100, 102.5]


def test_an_entity_nobody_can_serve_is_told(shop: Any) -> None:
    results = predict_rows(load(shop.bundle(pooled=None)), [row(), row(store="../x")])
    assert isinstance(results[0], Prediction)
    assert reasons(results)[1] == "entity '../x' has no model of its own and the fleet has no pooled model"


def test_labels_and_scores(shop: Any) -> None:
    binary = load(shop.bundle(schema=shop.schema("binary", ("no", "yes")), shards={0: {"a": 0.0}}, pooled=0.0))
    results = predict_rows(binary, [row(x=-2.0), row(x=2.0)])
    assert [(r.prediction, round(r.score or 0, 3)) for r in results if isinstance(r, Prediction)] == [
        ("no", 0.119),
        ("yes", 0.881),
    ]
    three = load(shop.bundle(schema=shop.schema("multiclass", ("p", "q", "r")), shards={0: {"a": 0.0}}, pooled=0.0))
    results = predict_rows(three, [row(x=-2.0), row(x=2.0)])
    assert [(r.prediction, round(r.score or 0, 3)) for r in results if isinstance(r, Prediction)] == [
        ("p", 0.881),
        ("q", 0.44),
    ]


def test_entities_of_several_schemas_each_need_only_their_own_columns(shop: Any) -> None:
    wide = shop.schema(features=(*shop.schema().features, Feature(name="new", type=ColumnType.NUMBER)))
    fleet = load(shop.bundle(schemas={1: wide}))
    results = predict_rows(fleet, [row(store="a"), row(store="c"), row(store="c", new=1), row(store="unknown")])
    assert [reason is None for reason in reasons(results)] == [True, False, True, True]
    assert "no column 'new'" in str(reasons(results)[1])


def test_many_rows_of_which_some_are_bad_are_all_answered(shop: Any) -> None:
    rows = [row(x=666.0 if i % 50 == 0 else i + 0.25, store="abc"[i % 3]) for i in range(1, 501)]
    results = predict_rows(load(shop.bundle()), rows)
    assert [isinstance(result, Failure) for result in results] == [i % 50 == 0 for i in range(1, 501)]


def test_no_rows_no_results(shop: Any) -> None:
    assert predict_rows(load(shop.bundle()), []) == []


@given(
    rows=st.lists(st.dictionaries(st.sampled_from(["store", "x", "colour", "other"]), VALUES, max_size=4), max_size=6)
)
def test_whatever_the_rows_hold_each_has_a_result(shop: Any, rows: list[dict[str, Any]]) -> None:
    if not hasattr(shop, "loaded"):
        shop.loaded = load(shop.bundle())
    results = predict_rows(shop.loaded, rows)
    assert len(results) == len(rows)
    assert all(isinstance(result, Prediction | Failure) for result in results)
