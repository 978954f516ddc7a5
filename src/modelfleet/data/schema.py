"""The resolved schema: what a fleet's models know about their columns. It is stored in every bundle."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task


class Feature(BaseModel):
    """One input column of the models.

    Attributes:
        name: The column.
        type: What its values are; ``number``, ``integer``, ``boolean`` or ``category``.
        levels: For a category, its known levels, sorted; every other value is "unseen". None for the rest.
        default: Value of a row that lacks the column; the empty text means a missing one. None means that such a row
            cannot be predicted.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    type: ColumnType
    levels: tuple[str, ...] | None = None
    default: str | int | float | bool | None = None

    @model_serializer(mode="wrap")
    def _without_absent_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave an absent default out: a schema that never had one keeps its fingerprint."""
        document: dict[str, Any] = write(self)
        if self.default is None:
            del document["default"]
        return document

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
    def defaults(self) -> dict[str, str | int | float | bool]:
        """The value of each feature that a row may lack."""
        return {f.name: f.default for f in self.features if f.default is not None}

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that no row may lack: entity and features without a default."""
        return (*self.entity, *(f.name for f in self.features if f.default is None))

    @property
    def outputs(self) -> int:
        """Columns of a prediction: one probability per class, or one number."""
        return max(len(self.classes), 1)

    @property
    def fingerprint(self) -> str:
        """sha256 over everything above; equal schemas encode rows to equal arrays."""
        document: dict[str, Any] = self.model_dump(mode="json")
        return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
