"""One row of the evaluation table, as the gate reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from modelfleet.errors import SpecError, StepError, nearest
from modelfleet.evaluation.table import REFERENCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PLAIN: Final = (
    "entity", "kind", "rows_train", "rows_holdout", "rows_independent", "has_candidate", "has_champion", "failure",
    "unchanged", "candidate_loss", "reference_valid", "reference_note",
)  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """The paired difference from one reference.

    Attributes:
        loss: The reference's mean loss; NaN where it predicts nothing.
        mean: Candidate minus reference; NaN where n is 0.
        error: Standard error of the mean; NaN where n is below 2.
        n: Independent observations compared.
    """

    loss: float
    mean: float
    error: float
    n: int


@dataclass(frozen=True)
class Evaluated:
    """What was measured on one entity, or on the pooled model; the fields are columns of the evaluation table.

    Attributes:
        differences: By reference.
        metrics: The candidate's, by name, for the metrics that have a threshold.
    """

    entity: str
    kind: str
    rows_train: int
    rows_holdout: int
    rows_independent: int
    has_candidate: bool
    has_champion: bool
    failure: str | None
    unchanged: bool
    candidate_loss: float
    reference_valid: bool
    reference_note: str
    differences: Mapping[str, Difference]
    metrics: Mapping[str, float]

    @property
    def name(self) -> str:
        """How sentences call it."""
        return "pooled model" if self.kind == "pooled" else self.entity or "''"


def read_evaluation(table: pa.Table, metrics: Iterable[str]) -> list[Evaluated]:
    """Read the rows of an evaluation table.

    Args:
        table: As ``modelfleet.evaluation.table.evaluate_shard`` makes it.
        metrics: Names that have a threshold.

    Raises:
        SpecError: A threshold names a metric that was not measured.
        StepError: The table lacks a column the gate needs, or names an entity twice.
    """
    prefix = "candidate_"
    known = [name.removeprefix(prefix) for name in table.column_names if name.startswith(prefix)]
    for name in metrics:
        if name not in known:
            raise SpecError(f"gate.thresholds: '{name}' is not measured for this task{nearest(name, known)}")
    wanted = [*_PLAIN, *(f"candidate_{name}" for name in metrics if name != "loss")]
    for reference in REFERENCES:
        wanted += [f"{reference}_loss", *(f"diff_{reference}_{part}" for part in ("mean", "se", "n"))]
    missing = sorted(set(wanted) - set(table.column_names))
    if missing:
        raise StepError(f"the evaluation table lacks {', '.join(missing)}: run the training step again")
    # by column: a dictionary per row takes longer than deciding it
    columns = {name: _values(table[name]) for name in wanted}
    differences = {reference: _differences(columns, reference) for reference in REFERENCES}
    rows = [_read(columns, differences, i, metrics) for i in range(table.num_rows)]
    names = [(row.kind, row.entity) for row in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise StepError(f"the evaluation table has two rows for {twice[0]} '{twice[1]}': run the training step again")
    return rows


def _read(
    columns: Mapping[str, list[Any]], differences: Mapping[str, list[Difference]], i: int, metrics: Iterable[str]
) -> Evaluated:
    return Evaluated(
        **{name: columns[name][i] for name in _PLAIN if name != "reference_note"},
        reference_note=columns["reference_note"][i] or "",
        differences={reference: each[i] for reference, each in differences.items()},
        metrics={name: columns[f"candidate_{name}"][i] for name in metrics},
    )


def _differences(columns: Mapping[str, list[Any]], reference: str) -> list[Difference]:
    parts = [columns[f"diff_{reference}_{part}"] for part in ("mean", "se", "n")]
    every = zip(columns[f"{reference}_loss"], *parts, strict=True)
    return [Difference(loss, mean, error, n or 0) for loss, mean, error, n in every]


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values; in one of floats, NaN where it has nulls."""
    values: list[Any] = column.to_numpy().tolist() if pa.types.is_floating(column.type) else column.to_pylist()
    return values
