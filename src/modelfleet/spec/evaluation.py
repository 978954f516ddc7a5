"""The evaluation section: what is measured on the holdout beside the loss the gate compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from modelfleet.errors import nearest
from modelfleet.spec.data import ColumnType, Names
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from modelfleet.spec.data import Column

SLICED_TYPES = (ColumnType.CATEGORY, ColumnType.BOOLEAN, ColumnType.INTEGER)
"""Types whose values repeat, so that rows of one value are a group."""


TABLE_URL = r"bigquery://(?P<project>[a-z][-a-z0-9:.]+)/(?P<dataset>\w+)/(?P<table>[\w-]+)"
"""How a table of BigQuery is named."""


class EvaluationSpec(Section):
    """What is measured.

    Attributes:
        slices: Columns whose values divide an entity's holdout into slices, each measured by itself
            (``slices.parquet``); categories, booleans and whole numbers. They need not be features.
        calibration_bins: Bins of equal width for ``calibration_error``.
        quantile: Of ``pinball``: the share of targets that should lie below the prediction; 0.5 makes it half the
            absolute error.
        table: ``bigquery://PROJECT/DATASET/TABLE`` to which every run's evaluation is appended when it is registered;
            absent means none.
    """

    slices: Names = ()
    calibration_bins: int = Field(default=10, ge=1, le=1_000)
    quantile: float = Field(default=0.5, gt=0, lt=1)
    table: str | None = Field(default=None, pattern=rf"^{TABLE_URL}$")

    @model_validator(mode="after")
    def _each_once(self) -> EvaluationSpec:
        if len(set(self.slices)) < len(self.slices):
            raise ValueError(f"slices: {', '.join(self.slices)} names a column twice")
        return self


def check_slices(
    slices: Collection[str], columns: Mapping[str, Column], *, entity: Collection[str], target: str
) -> None:
    """Refuse slices by a column that is not there, whose values do not repeat, or that says nothing.

    Args:
        slices: The columns to slice by.
        columns: The data's columns.
        entity: The entity columns, which never vary within an entity.
        target: The predicted column, which no metric can be measured within.

    Raises:
        ValueError: Naming the first that is wrong.
    """
    for name in slices:
        if name in entity:
            raise ValueError(f"evaluation.slices: '{name}' is an entity column: an entity has one value of it")
        if name == target:
            raise ValueError(f"evaluation.slices: '{name}' is the target, which has one value in a slice by it")
        if name not in columns:
            raise ValueError(f"evaluation.slices: '{name}' is not among the columns{nearest(name, columns)}")
        if columns[name].type not in SLICED_TYPES:
            valid = ", ".join(SLICED_TYPES)
            raise ValueError(f"evaluation.slices: '{name}' has type {columns[name].type}; valid are: {valid}")
