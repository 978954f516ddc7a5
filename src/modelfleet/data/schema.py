"""The resolved schema: what a fleet's models know about their columns. It is stored in every bundle."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task


class Feature(BaseModel):
    """One input column of the models.

    Attributes:
        name: The column.
        type: What its values are; ``number``, ``integer``, ``boolean`` or ``category``.
        levels: For a category, its known levels, sorted; every other value is "unseen". None for the rest.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: ColumnType
    levels: tuple[str, ...] | None = None

    @property
    def kind(self) -> Literal["category", "number"]:
        """How models see it: by code, or as a float (booleans are 0 and 1)."""
        return "category" if self.type is ColumnType.CATEGORY else "number"


class Schema(BaseModel):
    """Columns, levels and classes, the same for the whole fleet.

    Attributes:
        entity: The key columns.
        target: The predicted column.
        task: What is predicted.
        classes: Class labels as text, sorted; empty for regression. For ``binary`` the second one is the positive.
        features: Inputs in the order the models expect.
        missing: Texts that mean "no value", besides the empty one; sorted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entity: tuple[str, ...]
    target: str
    task: Task
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    missing: tuple[str, ...] = ()

    @property
    def categories(self) -> tuple[Feature, ...]:
        """The category features, in order: column j of ``EncodedRows.codes``."""
        return tuple(f for f in self.features if f.kind == "category")

    @property
    def numbers(self) -> tuple[Feature, ...]:
        """The other features, in order: column j of ``EncodedRows.numbers``."""
        return tuple(f for f in self.features if f.kind == "number")

    @property
    def outputs(self) -> int:
        """Columns of a prediction: one probability per class, or one number."""
        return max(len(self.classes), 1)

    @property
    def fingerprint(self) -> str:
        """sha256 over everything above; equal schemas encode rows to equal arrays."""
        document: dict[str, Any] = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
