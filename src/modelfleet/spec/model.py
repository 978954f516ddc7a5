"""The model section: what is trained for each entity, one recipe or several to choose from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

from pydantic import Field, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from modelfleet.spec.data import Names
from modelfleet.spec.section import Section

MOST_CANDIDATES: Final = 64
"""Most recipes a spec may expand to: each is fitted for every entity, and each is one more chance for luck."""


@dataclass(frozen=True)
class Recipe:
    """One way to make a model: a family and its parameters.

    Attributes:
        family: Name of the family.
        parameters: Its parameters.
    """

    family: str
    parameters: Mapping[str, JsonValue]

    @property
    def label(self) -> str:
        """How reports call it, such as ``tree(max_depth=3)``."""
        inside = (f"{name}={_text(value)}" for name, value in self.parameters.items())
        return f"{self.family}({', '.join(inside)})" if self.parameters else self.family


class CandidateSpec(Section):
    """One family among several, with one set of parameters or a grid of them.

    Attributes:
        family: Name of a family.
        parameters: Parameters all its candidates share.
        grid: Values to try of other parameters; every combination is a candidate, the last name varying fastest.
    """

    family: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    grid: dict[str, tuple[JsonValue, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _grid_varies(self) -> CandidateSpec:
        for name, values in self.grid.items():
            if not values:
                raise ValueError(f"grid.{name} is empty, so there is nothing to try; leave it out")
            if name in self.parameters:
                raise ValueError(f"'{name}' is in grid and in parameters; name it in one of them")
        return self

    def recipes(self) -> Iterator[Recipe]:
        """Yield every combination; there may be very many."""
        for values in product(*self.grid.values()):
            yield Recipe(self.family, self.parameters | dict(zip(self.grid, values, strict=True)))

    def count(self) -> int:
        """Return how many combinations there are."""
        count = 1
        for values in self.grid.values():
            count *= len(values)
        return count


class PooledSpec(Section):
    """The pooled model's own recipe.

    Attributes:
        family: Name of a family.
        parameters: The family's own parameters.
    """

    family: str
    parameters: dict[str, JsonValue] = Field(default_factory=dict)


class ModelSpec(Section):
    """What is trained for each entity.

    Attributes:
        family: Name of a family: ``tree``, ``logistic``, ``linear``, ``sklearn``, ``torch``, ``xgboost``, ``onnx``, or
            one an installed package adds. Absent means ``tree``.
        parameters: The family's own parameters; it says which it knows.
        candidates: Several recipes instead of ``family`` and ``parameters``: each entity gets the one that does best
            on its validation rows, or none of its own where the pooled model does ([candidates.md](candidates.md)).
        pooled: The pooled model's recipe where there are ``candidates``; absent means the first of them.
        min_rows: Training rows below which an entity gets no model of its own and is served by the pooled one.
        features: Columns used; absent means every column whose role is feature.
        seed: Seed of every random draw.
        pooled_rows: Most rows the pooled model is fitted on, drawn evenly over the fleet.
    """

    family: str = "tree"
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    candidates: tuple[CandidateSpec, ...] = ()
    pooled: PooledSpec | None = None
    min_rows: int = Field(default=20, ge=2)
    features: Names | None = None
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    pooled_rows: int = Field(default=100_000, ge=10)

    @model_validator(mode="after")
    def _one_form(self) -> ModelSpec:
        if not self.candidates:
            if self.pooled is not None:
                raise ValueError("pooled needs candidates: a single recipe is the pooled model's too")
            return self
        both = sorted({"family", "parameters"} & self.model_fields_set)
        if both:
            raise ValueError(
                f"candidates and {' and '.join(both)} exclude each other: "
                f"remove one of them, or in overrides set it to null"
            )
        count = sum(candidate.count() for candidate in self.candidates)
        if count > MOST_CANDIDATES:
            raise ValueError(
                f"candidates expand to {count:,} recipes, and {MOST_CANDIDATES} are the most; try fewer values in grid"
            )
        seen: set[str] = set()
        for recipe in self.recipes:
            key = json.dumps([recipe.family, recipe.parameters], sort_keys=True)
            if key in seen:
                raise ValueError(f"candidates name {recipe.label} twice")
            seen.add(key)
        return self

    @model_serializer(mode="wrap")
    def _written_in_one_form(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the form that is not used: what is written down must be accepted when it is read again."""
        document: dict[str, Any] = handler(self)
        for name in ("family", "parameters") if self.candidates else ("candidates", "pooled"):
            document.pop(name, None)
        return document

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What is fitted for every entity, in the order of the spec; candidate i is number i + 1."""
        if not self.candidates:
            return (Recipe(self.family, self.parameters),)
        return tuple(recipe for candidate in self.candidates for recipe in candidate.recipes())

    @property
    def pooled_recipe(self) -> Recipe:
        """What the pooled model is made by."""
        return self.recipes[0] if self.pooled is None else Recipe(self.pooled.family, self.pooled.parameters)


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
