from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.errors import SpecError
from modelfleet.spec import FleetSpec, load_spec, override, parse_spec
from modelfleet.spec.overrides import _merge

REPOSITORY = Path(__file__).parents[2]

RFC_7386 = [  # its appendix A
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(st.text(max_size=2), json_values, max_size=3)


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386)
def test_merges_as_the_rfc_says(target: Any, patch: Any, result: Any) -> None:
    before = copy.deepcopy((target, patch))
    assert _merge(target, patch) == result
    assert (target, patch) == before


def holds_null(value: object) -> bool:
    return value is None or (isinstance(value, dict) and any(holds_null(inner) for inner in value.values()))


@given(mappings, mappings)
def test_a_merge_again_changes_nothing(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = _merge(target, patch)
    assert _merge(once, patch) == once


@given(mappings, mappings)
def test_a_patch_without_nulls_can_be_read_back(target: dict[str, Any], patch: dict[str, Any]) -> None:
    if not holds_null(patch):
        assert _merge({}, patch) == patch
    assert set(_merge(target, patch)) == (set(target) | set(patch)) - {k for k, v in patch.items() if v is None}


@pytest.fixture
def spec(document: dict[str, Any]) -> FleetSpec:
    document["model"] = {"family": "tree", "parameters": {"max_depth": 2, "min_samples_leaf": 20}}
    return parse_spec(document, origin="test")


def test_an_empty_patch_changes_nothing(spec: FleetSpec) -> None:
    assert override(spec, {}) == spec


def test_sections_merge_and_null_restores_the_default(spec: FleetSpec) -> None:
    changed = override(spec, {"model": {"parameters": {"max_depth": 6}}, "split": {"holdout": 0.3}})
    assert changed.model.parameters == {"max_depth": 6, "min_samples_leaf": 20}
    assert changed.split.holdout == 0.3
    assert changed.data == spec.data
    assert override(changed, {"split": None, "model": {"parameters": {"max_depth": 2}}}) == spec
    assert override(spec, {"model": None}).model.parameters == {}


def test_the_spec_itself_stays(spec: FleetSpec) -> None:
    before = spec.model_dump_json()
    override(spec, {"model": {"parameters": {"max_depth": 6}}})
    assert spec.model_dump_json() == before


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"fleet": "other"}, "overrides: fleet: cannot be overridden; it says which fleet this is"),
        ({"fleet": None}, "overrides: fleet: cannot be overridden"),
        ({"entity": "country"}, "overrides: entity: cannot be overridden"),
        ({"task": "binary"}, "overrides: task: cannot be overridden"),
        ({"data": {"target": "price"}}, "overrides: data.target: cannot be overridden"),
        ({"data": None}, "overrides: data: is required"),
        ({"modle": {}}, "overrides: modle: no such key; did you mean 'model'?"),
        ({"model": {"familly": "tree"}}, "overrides: model.familly: no such key; did you mean 'family'?"),
        ({"model": {"features": ["colur"]}}, "'colur' is not a feature column; did you mean 'colour'?"),
        ({"data": {"source": "new.csv"}}, "overrides: data.source: is 'new.csv'; write the whole path"),
        (
            {"serving": {"sink": {"answers": "./out"}}},
            "overrides: serving.sink.answers: is './out'; write the whole path",
        ),
        ({"model": "logistic"}, "overrides: model: is 'logistic': Input should be a valid dictionary"),
        (["model"], "overrides: expected a mapping such as {'model': {'family': 'logistic'}}, not ['model']"),
    ],
)
def test_what_cannot_be_overridden_says_so(spec: FleetSpec, patch: Any, message: str) -> None:
    with pytest.raises(SpecError) as error:
        override(spec, patch)
    assert message in str(error.value)


def test_whole_paths_may_be_overridden(spec: FleetSpec) -> None:
    assert override(spec, {"data": {"source": "/new.csv"}}).data.source == "/new.csv"
    assert override(spec, {"data": {"source": "gs://b/new.csv"}}).data.source == "gs://b/new.csv"


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "split": st.fixed_dictionaries({"holdout": st.floats(0.01, 0.5), "salt": st.text(max_size=5)}),
            "model": st.fixed_dictionaries(
                {"parameters": st.dictionaries(st.text(max_size=5), json_values, max_size=3)}
            ),
            "gate": st.fixed_dictionaries({"margin": st.floats(0, 10), "intent": st.sampled_from(["auto", "change"])}),
            "resources": st.fixed_dictionaries({"shards": st.integers(1, 10_000)}),
            "engine_options": st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=2),
        },
    )
)
def test_a_spec_written_as_json_reads_back_equal_and_patches_apply(patch: dict[str, Any]) -> None:
    spec = override(load_spec(REPOSITORY / "fleets" / "income.yaml"), patch)
    assert FleetSpec.model_validate_json(spec.model_dump_json()) == spec
    assert override(spec, {}) == spec
    assert (spec.fleet, spec.entity) == ("income", ("education",))


@pytest.mark.parametrize("name", ["better_for_some", "deliberately_bad"])
def test_the_demo_patches_fit_the_income_fleet(name: str) -> None:
    spec = load_spec(REPOSITORY / "fleets" / "income.yaml")
    patch = json.loads((REPOSITORY / "examples" / "demo" / f"{name}.json").read_text())
    changed = override(spec, patch)
    assert changed.model != spec.model
    assert changed.model_copy(update={"model": spec.model}) == spec
