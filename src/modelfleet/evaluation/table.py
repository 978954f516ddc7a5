"""The evaluation table: what the gate knows about each entity, measured on its holdout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pyarrow as pa

from modelfleet.evaluation.losses import loss_name, row_losses
from modelfleet.evaluation.metrics import DEFAULT, metric_names, metrics_of_each
from modelfleet.evaluation.paired import Observations
from modelfleet.evaluation.undefined import undefined_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.spec.evaluation import EvaluationSpec
    from modelfleet.spec.fleet import Task
    from modelfleet.spec.gate import GatePolicy

REFERENCES: Final = ("champion", "pooled", "baseline")
"""What a candidate is compared with: what serves the entity now, the new pooled model, a constant."""

WHO: Final = ("candidate", *REFERENCES)

MEASURED: Final = ("candidate", "champion")
"""For whom the table says why a metric is undefined."""

Kind = Literal["entity", "pooled"]


@dataclass(frozen=True)
class HoldoutShard:
    """The holdout rows of some entities, entity after entity.

    Attributes:
        entities: E entity keys; ``("",)`` for the pooled model's row, whose rows are those of the whole fleet.
        bounds: (E + 1,) int64, ascending from 0 to n; rows ``bounds[e]:bounds[e + 1]`` are entity e's. May be empty.
        target: (n,) float64, the class index or the number.
        row_hash: (n,) uint64 content hash; equal for exact duplicates.
        rows_train: (E,) training rows of each entity.
        rows_validation: (E,) validation rows of each entity.
    """

    entities: tuple[str, ...]
    bounds: NDArray[np.int64]
    target: NDArray[np.float64]
    row_hash: NDArray[np.uint64]
    rows_train: NDArray[np.int64]
    rows_validation: NDArray[np.int64]


@dataclass(frozen=True)
class Standing:
    """What is known about the models of a shard beside their predictions.

    Attributes:
        has_candidate: (E,) bool: a model of the entity's own was fitted in this run.
        has_champion: (E,) bool: the champion bundle holds a model of the entity's own. False where the champion
            bundle serves the entity by its pooled model.
        unchanged: (E,) bool: the candidate's row equals the champion's byte for byte. None means nowhere.
        failures: Why an entity has no candidate, one sentence each.
        reference_note: Why the champion cannot be compared (it saw these holdout rows, ...), for the whole shard or
            by entity; empty or absent means that it can.
    """

    has_candidate: NDArray[np.bool_]
    has_champion: NDArray[np.bool_]
    unchanged: NDArray[np.bool_] | None = None
    failures: Mapping[str, str] = field(default_factory=dict)
    reference_note: Mapping[str, str] | str = ""


def evaluation_schema(task: Task) -> pa.Schema:
    """Return the columns of the evaluation table of a task, in order."""
    columns: list[tuple[str, pa.DataType]] = [
        ("entity", pa.string()),
        ("kind", pa.string()),
        *((name, pa.int64()) for name in ("rows_train", "rows_validation", "rows_holdout", "rows_independent")),
        ("has_candidate", pa.bool_()),
        ("has_champion", pa.bool_()),
        ("failure", pa.string()),
        ("unchanged", pa.bool_()),
    ]
    for who in WHO:
        columns += [(f"{who}_{name}", pa.float64()) for name in ("loss", *metric_names(task))]
    for reference in REFERENCES:
        columns += [(f"diff_{reference}_mean", pa.float64()), (f"diff_{reference}_se", pa.float64())]
        columns += [(f"diff_{reference}_n", pa.int64())]
    columns += [("reference_valid", pa.bool_()), ("reference_note", pa.string())]
    columns += [(f"undefined_{who}", pa.string()) for who in MEASURED]
    return pa.schema(columns)


def evaluate_shard(
    schema: Schema,
    policy: GatePolicy,
    holdout: HoldoutShard,
    predictions: Mapping[str, NDArray[np.float64] | None],
    standing: Standing,
    *,
    kind: Kind = "entity",
    options: EvaluationSpec = DEFAULT,
) -> pa.Table:
    """Measure every entity of a shard on its holdout, all at once.

    For the pooled model's row, pass one segment that holds the holdout rows of the whole fleet, ``kind="pooled"``,
    the candidate bundle's pooled model as ``candidate`` and the champion bundle's as ``champion``.

    Args:
        schema: The fleet's schema.
        policy: The gate policy: which loss, which clip.
        holdout: The rows.
        predictions: For ``candidate``, ``champion``, ``pooled`` and ``baseline`` (see ``REFERENCES``), (n, outputs)
            predictions with NaN rows where there is no model; None or absent means for no row at all.
        standing: Which models there are.
        kind: ``entity``, or ``pooled`` for the row of the pooled model.
        options: How many bins, which quantile.

    Returns:
        One row per entity, columns ``evaluation_schema(schema.task)``. ``<who>_loss`` is the mean over independent
        observations (exact duplicates averaged into one), so ``diff_<ref>_mean`` is the difference of two of them;
        ``<who>_<metric>`` are over rows, as scikit-learn defines them. NaN means undefined or no prediction;
        ``undefined_<who>`` says why (``undefined_text``), null where all metrics have a value.
    """
    size = len(holdout.entities)
    rows = np.diff(holdout.bounds)
    segment = np.repeat(np.arange(size, dtype=np.int64), rows)
    observations = Observations.group(holdout.row_hash, segment, size)
    loss = loss_name(schema.task, policy)
    there = {who: prediction for who in WHO if (prediction := predictions.get(who)) is not None}
    metrics = metrics_of_each(schema.task, there, holdout.target, segment, size, options) if there else {}
    losses: dict[str, NDArray[np.float64]] = {}
    columns: dict[str, object] = {
        "entity": list(holdout.entities),
        "kind": [kind] * size,
        "rows_train": holdout.rows_train,
        "rows_validation": holdout.rows_validation,
        "rows_holdout": rows,
        "rows_independent": observations.counts,
        "has_candidate": standing.has_candidate,
        "has_champion": standing.has_champion,
        "failure": [standing.failures.get(entity) for entity in holdout.entities],
        "unchanged": np.zeros(size, dtype=bool) if standing.unchanged is None else standing.unchanged,
    }
    for who in WHO:
        if who not in there:
            columns |= {f"{who}_{name}": np.full(size, np.nan) for name in ("loss", *metric_names(schema.task))}
            columns[f"undefined_{who}"] = ["no_prediction"] * size
            continue
        losses[who] = row_losses(loss, there[who], holdout.target, policy.clip)
        columns[f"{who}_loss"] = observations.mean(losses[who])
        columns |= {f"{who}_{name}": values for name, values in metrics[who].items()}
        if who in MEASURED:
            columns[f"undefined_{who}"] = undefined_text(schema.task, metrics[who], there[who], segment, size)
    for reference in REFERENCES:
        if "candidate" in losses and reference in losses:
            mean, error, count = observations.difference(losses["candidate"], losses[reference])
        else:
            mean, error, count = np.full(size, np.nan), np.full(size, np.nan), np.zeros(size, dtype=np.int64)
        columns |= {f"diff_{reference}_mean": mean, f"diff_{reference}_se": error, f"diff_{reference}_n": count}
    note = standing.reference_note
    notes = [note] * size if isinstance(note, str) else [note.get(entity, "") for entity in holdout.entities]
    columns |= {"reference_valid": [not text for text in notes], "reference_note": notes}
    # from_pandas=False keeps NaN a value: null would mean "not measured" in readers that tell the two apart
    fields = evaluation_schema(schema.task)
    return pa.Table.from_arrays([pa.array(columns[f.name], f.type, from_pandas=False) for f in fields], schema=fields)
