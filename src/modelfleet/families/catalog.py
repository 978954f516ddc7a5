"""Finding families by name, among ours and those of installed packages."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from modelfleet.errors import MissingExtraError, SpecError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family

GROUP = "modelfleet.families"
BUILT_IN = {
    "tree": "modelfleet.families.tree:TreeFamily",
    "logistic": "modelfleet.families.logistic:LogisticFamily",
    "linear": "modelfleet.families.linear:LinearFamily",
    "sklearn": "modelfleet.families.sklearn:SklearnFamily",
    "torch": "modelfleet.families.torch:TorchFamily",
    "xgboost": "modelfleet.families.xgboost:XgboostFamily",
    "onnx": "modelfleet.families.onnx:OnnxFamily",
}
"""Ours are found without package metadata, so that they load from a source folder inside an MLflow model too."""

EXTRAS = {"sklearn": "sklearn", "torch": "torch", "xgboost": "xgboost", "onnx": "onnx"}
"""The extra that brings what a family cannot be used at all without; the others need nothing more."""


def family_names() -> tuple[str, ...]:
    """Return the names of all families that can be had here, sorted."""
    return tuple(sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


def make_family(name: str, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> Family:
    """Return a family ready to fit or to load models.

    Args:
        name: As the spec writes it.
        schema: The schema its rows are encoded by.
        parameters: The family's own parameters.
        seed: Seed of every random draw.

    Raises:
        SpecError: There is no such family, or it does not take these parameters or this task.
        MissingExtraError: The family's library is not installed.
    """
    family_class = _find(name)
    family: Family = family_class(schema, parameters, seed)
    if schema.task not in family.tasks:
        able = ", ".join(sorted(family.tasks))
        raise SpecError(f"model.family: '{name}' does {able}, but the fleet's task is {schema.task}")
    return family


def _find(name: str) -> type[Family]:
    """Return a family's class. Ours are looked up first: asking the metadata of every package takes 20 ms."""
    from importlib.metadata import EntryPoint

    if name in BUILT_IN:
        point = EntryPoint(name, BUILT_IN[name], GROUP)
    else:
        points = {point.name: point for point in entry_points(group=GROUP)}
        if name not in points:
            raise SpecError(f"model.family: there is no family '{name}'{nearest(name, {*points, *BUILT_IN})}")
        point = points[name]
    try:
        found: type[Family] = point.load()
    except ModuleNotFoundError as error:
        if name in EXTRAS:
            raise MissingExtraError(str(error.name), EXTRAS[name]) from error
        raise SpecError(
            f"model.family: '{name}' ({point.value}) needs '{error.name}', which is not installed"
        ) from error
    return found
