"""The data section: where rows come from, what their columns mean, and how they are split."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from modelfleet.spec.section import Section


class ColumnType(StrEnum):
    """What the values of a column are."""

    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    DATE = "date"
    TEXT = "text"


class ColumnRole(StrEnum):
    """What a column is for.

    ``row_id`` is unique per row and never a feature; ``group`` repeats, is kept out of the features and keeps
    its rows in one part of the split; ``ignore`` is read but not used.
    """

    FEATURE = "feature"
    ENTITY = "entity"
    TARGET = "target"
    ROW_ID = "row_id"
    GROUP = "group"
    IGNORE = "ignore"


RESERVED = "__"
"""What names of data columns may not begin with: prepared rows carry ``__entity``, ``__part`` and the like."""

UNUSED_TYPES = frozenset({ColumnType.DATE, ColumnType.TEXT})
"""Types no family can use as a feature yet; such columns must be ``ignore`` (or ``row_id``/``group``)."""


_FITS: dict[ColumnType, Callable[[object], bool]] = {
    ColumnType.NUMBER: lambda value: type(value) in (int, float) and math.isfinite(value),  # type: ignore[arg-type]
    ColumnType.INTEGER: lambda value: type(value) is int and abs(value) < 10**18,
    ColumnType.BOOLEAN: lambda value: type(value) is bool,
    ColumnType.CATEGORY: lambda value: type(value) is str,
}
"""Whether a default is a value of a feature's type."""


class Column(Section):
    """One column. In YAML ``age: number`` is short for ``age: {type: number, role: feature}``.

    Attributes:
        type: What the values are.
        role: What the column is for.
        max_levels: Largest number of levels kept for a category; rarer ones become "other". Absent means the
            data section's ``max_levels``.
        default: Value a request (or a file to score) is taken to have that lacks the column, so that a fleet may need
            a new feature while older producers still send without it; the empty text means a missing value. Absent
            means that such a row is an error.
    """

    type: ColumnType
    role: ColumnRole = ColumnRole.FEATURE
    max_levels: int | None = Field(default=None, ge=1)
    default: str | int | float | bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_short_form(cls, value: object) -> object:
        return {"type": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _usable(self) -> Column:
        if self.role is ColumnRole.FEATURE and self.type in UNUSED_TYPES:
            raise ValueError(
                f"a column of type '{self.type}' cannot be a feature yet; give it role: ignore (or row_id, group)"
            )
        if self.default is not None and self.role is not ColumnRole.FEATURE:
            raise ValueError(f"default: {self.default!r} is for features, but the column's role is {self.role}")
        if self.default not in (None, "") and not _FITS[self.type](self.default):
            raise ValueError(f"default: {self.default!r} is no value of a column of type '{self.type}'")
        return self


def _one_or_many(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_one_or_many)]


class DataSpec(Section):
    """Where the training rows are and what their columns mean.

    Attributes:
        source: File, folder or glob of the data; a relative one is taken from the spec file's folder. Or the same below
            a bucket, `gs://BUCKET/...` or `s3://BUCKET/...`, with signs such as `*` in the last part only. Or a table:
            ``bigquery://PROJECT/DATASET/TABLE``.
        format: ``auto`` goes by the file name's ending, or else its first bytes.
        header: Whether a CSV file's first line names its columns; without it ``columns`` names them, in order.
        delimiter: One character, for CSV.
        missing: Texts that mean "no value", besides the empty text.
        target: The column to predict.
        columns: Type and role of each column. Absent means inferred from the data when a run prepares it;
            columns the data has and this does not name are ignored, and the report says so.
        max_levels: Levels kept per category column; rarer ones become "other".
    """

    source: str = Field(min_length=1)
    format: Literal["auto", "csv", "parquet", "jsonl"] = "auto"
    header: bool = True
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    missing: Names = ()
    target: str = Field(min_length=1)
    columns: dict[str, Column] | None = None
    max_levels: int = Field(default=50, ge=1, le=30_000)

    @model_validator(mode="after")
    def _columns_named(self) -> DataSpec:
        if not self.header and not self.columns:
            raise ValueError("header: false needs columns: a file without a header cannot name them")
        for name in self.columns or ():
            if not name or name.startswith(RESERVED):
                raise ValueError(f"columns: '{name}' is not a usable name: it is empty or begins with '{RESERVED}'")
        return self


class SplitSpec(Section):
    """How rows are divided into train, validation and holdout: by a salted hash of each row's identity.

    The identity is the ``group`` column, else the ``row_id`` column, else the row's whole content.

    Attributes:
        salt: Changes every row's part; change it only to start the fleet's history anew.
        holdout: Share of rows only the gate sees, in (0, 1).
        validation: Share of rows for choosing between candidates, in [0, 1).
        holdout_cap: Largest number of holdout rows per entity; the rest trains.
    """

    salt: str = "modelfleet"
    holdout: float = Field(default=0.2, gt=0, lt=1)
    validation: float = Field(default=0.1, ge=0, lt=1)
    holdout_cap: int = Field(default=2_000, ge=10)

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> SplitSpec:
        if self.holdout + self.validation >= 1:
            raise ValueError(f"holdout {self.holdout} + validation {self.validation} leave no rows to train on")
        return self
