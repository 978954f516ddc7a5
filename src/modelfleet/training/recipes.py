"""The families of a spec's recipes, ready to fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.errors import SpecError
from modelfleet.families.catalog import make_family

if TYPE_CHECKING:
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family
    from modelfleet.spec.model import ModelSpec, Recipe


def make_families(model: ModelSpec, schema: Schema) -> tuple[tuple[Family, ...], Family]:
    """Return the family of each recipe, and the pooled model's.

    Args:
        model: The spec's model section.
        schema: What the rows are encoded by.

    Raises:
        SpecError: There is no such family, or it does not take its parameters or the task.
        MissingExtraError: A family's library is not installed.
    """
    if not model.candidates:
        only = make_family(model.family, schema, model.parameters, model.seed)
        return (only,), only
    every = tuple(_make(recipe, model, schema, f"candidate {i}") for i, recipe in enumerate(model.recipes, start=1))
    return every, every[0] if model.pooled is None else _make(model.pooled_recipe, model, schema, "pooled")


def _make(recipe: Recipe, model: ModelSpec, schema: Schema, name: str) -> Family:
    try:
        return make_family(recipe.family, schema, recipe.parameters, model.seed)
    except SpecError as error:
        raise SpecError(f"model.candidates: {name}, {recipe.label}: {error}") from error
