"""The model section: one recipe, or several that expand from grids; never both."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.errors import SpecError
from modelfleet.spec import FleetSpec, override, parse_spec
from modelfleet.spec.model import MOST_CANDIDATES, CandidateSpec

BASE = {"fleet": "sales", "entity": "store", "task": "binary", "data": {"source": "/s.csv", "target": "y"}}
SEVERAL = [
    {"family": "tree", "grid": {"max_depth": [3, 6, None]}, "parameters": {"min_samples_leaf": 5}},
    {"family": "logistic", "parameters": {"C": 1.0}},
]


def spec_of(**model: Any) -> FleetSpec:
    return parse_spec({**BASE, "model": model}, origin="sales.yaml")


def test_one_recipe_is_the_pooled_models_too() -> None:
    model = spec_of(family="logistic", parameters={"C": 2.0}).model
    assert [recipe.label for recipe in model.recipes] == ["logistic(C=2.0)"]
    assert model.pooled_recipe == model.recipes[0]
    assert spec_of().model.recipes[0].label == "tree"


def test_grids_expand_in_the_order_they_are_written() -> None:
    model = spec_of(candidates=SEVERAL, min_rows=30).model
    assert [recipe.label for recipe in model.recipes] == [
        "tree(min_samples_leaf=5, max_depth=3)",
        "tree(min_samples_leaf=5, max_depth=6)",
        "tree(min_samples_leaf=5, max_depth=null)",
        "logistic(C=1.0)",
    ]
    assert model.pooled_recipe == model.recipes[0]
    own = spec_of(candidates=SEVERAL, pooled={"family": "logistic"}).model
    assert own.pooled_recipe.label == "logistic"


@given(st.dictionaries(st.text(max_size=3), st.lists(st.integers(), min_size=1, max_size=4, unique=True), max_size=4))
def test_every_combination_once(grid: dict[str, list[int]]) -> None:
    candidate = CandidateSpec.model_validate({"family": "tree", "grid": grid})
    recipes = list(candidate.recipes())
    assert len(recipes) == candidate.count() == len({tuple(recipe.parameters.items()) for recipe in recipes})
    assert all(recipe.parameters[name] in values for recipe in recipes for name, values in grid.items())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"candidates": SEVERAL, "family": "tree"}, "candidates and family exclude each other: remove one of them"),
        (
            {"candidates": SEVERAL, "family": "tree", "parameters": {}},
            "candidates and family and parameters exclude each other",
        ),
        ({"candidates": [{"parameters": {}}]}, "model.candidates.0.family: is required"),
        ({"candidates": [{"family": "tree", "girds": {}}]}, "candidates.0.girds: no such key; did you mean 'grid'?"),
        ({"candidates": [{"family": "tree", "grid": {"a": []}}]}, "grid.a is empty, so there is nothing to try"),
        ({"candidates": [{"family": "tree", "grid": {"a": [1]}, "parameters": {"a": 2}}]}, "'a' is in grid and in"),
        ({"candidates": [{"family": "tree"}, {"family": "tree", "parameters": {}}]}, "candidates name tree twice"),
        ({"candidates": [{"family": "tree", "grid": {"a": [1, 1]}}]}, "candidates name tree(a=1) twice"),
        (
            {"candidates": [{"family": "tree", "grid": {name: list(range(100)) for name in "abcdefgh"}}]},
            f"candidates expand to 10,000,000,000,000,000 recipes, and {MOST_CANDIDATES} are the most",
        ),
        ({"pooled": {"family": "tree"}}, "pooled needs candidates"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(model: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as error:
        spec_of(**model)
    assert message in str(error.value)


def test_validation_rows_are_needed_to_choose() -> None:
    with pytest.raises(SpecError, match=r"model.candidates are chosen on validation rows, but split.validation is 0"):
        parse_spec({**BASE, "model": {"candidates": SEVERAL}, "split": {"validation": 0}}, origin="x")


def test_a_spec_with_candidates_is_written_and_read_back() -> None:
    for spec in (spec_of(candidates=SEVERAL), spec_of(candidates=SEVERAL, pooled={"family": "logistic"}), spec_of()):
        assert FleetSpec.model_validate_json(spec.model_dump_json()) == spec
        assert FleetSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_overrides_go_from_one_form_to_the_other() -> None:
    one = spec_of(family="tree", parameters={"max_depth": 3}, min_rows=30)
    several = override(one, {"model": {"family": None, "parameters": None, "candidates": SEVERAL}})
    assert len(several.model.recipes) == 4
    assert several.model.min_rows == 30
    back = override(several, {"model": {"candidates": None, "family": "logistic"}})
    assert [recipe.label for recipe in back.model.recipes] == ["logistic"]
    with pytest.raises(SpecError, match="in overrides set it to null"):
        override(one, {"model": {"candidates": SEVERAL}})


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"slices": ["region", "region"]}, "evaluation: slices: region, region names a column twice"),
        ({"slices": "stroe"}, "evaluation.slices: 'stroe' is not among the columns; did you mean 'store'?"),
        ({"slices": ["store"]}, "evaluation.slices: 'store' is an entity column"),
        ({"slices": ["y"]}, "evaluation.slices: 'y' is the target"),
        ({"slices": ["price"]}, "'price' has type number; valid are: category, boolean, integer"),
        ({"quantile": 1}, "evaluation.quantile: is 1: Input should be less than 1"),
        ({"calibration_bins": 0}, "evaluation.calibration_bins: is 0"),
    ],
)
def test_slices_are_columns_whose_values_repeat(evaluation: dict[str, Any], message: str) -> None:
    columns = {"store": "category", "region": "category", "price": "number", "y": "boolean"}
    document = {**BASE, "data": {**BASE["data"], "columns": columns}, "evaluation": evaluation}  # type: ignore[dict-item]
    with pytest.raises(SpecError) as error:
        parse_spec(document, origin="test")
    assert message in str(error.value)


def test_a_single_slice_needs_no_list() -> None:
    assert parse_spec({**BASE, "evaluation": {"slices": "region"}}, origin="test").evaluation.slices == ("region",)
