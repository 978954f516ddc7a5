"""Training one shard: fit, compare with what serves, write. Everything of a shard is done at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.bundles.modelfile import write_shard
from modelfleet.data.arrow_stream import to_bytes
from modelfleet.evaluation.slices import slice_shard
from modelfleet.evaluation.table import evaluate_shard
from modelfleet.training.champion import Champion
from modelfleet.training.holdout import Fit, holdout_of, predict_holdout, standing_of
from modelfleet.training.matrix import from_matrix
from modelfleet.training.prepared import PreparedShard, fit_totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.bundles.format import ShardFile
    from modelfleet.training.job import TrainingJob


@dataclass(frozen=True)
class ShardResult:
    """What training a shard left; travels between workers.

    Attributes:
        shard: Its number.
        files: The model files written into the candidate, one per recipe that some entity is served by.
        evaluation: Its part of the evaluation table, as an Arrow stream.
        pooled_rows: Holdout rows with the predictions of both pooled models, as an Arrow stream.
        totals: (outputs,) rows to fit per class, or the sum of their targets, quarantined entities left out.
        rows_to_fit: Their number.
        failures: Entities that could not be fitted, with the reason.
        slices: Its part of the slice table, as an Arrow stream; None where nothing is sliced.
        candidates: Its part of the candidate table, likewise; None where there was nothing to choose.
        cpu_seconds: CPU time spent.
    """

    shard: int
    files: tuple[ShardFile, ...]
    evaluation: bytes
    pooled_rows: bytes
    totals: tuple[float, ...]
    rows_to_fit: int
    failures: dict[str, str] = field(default_factory=dict)
    slices: bytes | None = None
    candidates: bytes | None = None
    cpu_seconds: float = 0.0

    @property
    def models(self) -> int:
        """Number of models written."""
        return sum(file.rows for file in self.files)


def train_shard(job: TrainingJob, shard: int, pooled: Callable[[], bytes | None]) -> ShardResult:
    """Train and evaluate the entities of one shard where there is one recipe, and nothing to choose.

    Args:
        job: The training step.
        shard: Number of the shard.
        pooled: Returns the candidate's pooled model as an Arrow stream, None where there is none; asked once the
            shard's own models are fitted, so that it may be fitted beside them.
    """
    begin = time.thread_time()
    rows = job.read(shard)
    fitted = job.families[0].fit(rows.training(fittable(job, rows)))
    return conclude(
        job, shard, rows, [Fit(0, fitted.models)], pooled(), failures=fitted.failures, unserved={}, begin=begin
    )


def healthy(job: TrainingJob, rows: PreparedShard) -> NDArray[np.bool_]:
    """Return (E,) which entities are not quarantined."""
    return np.array([entity not in job.quarantined for entity in rows.entities], dtype=bool)


def fittable(job: TrainingJob, rows: PreparedShard) -> NDArray[np.bool_]:
    """Return (E,) which entities get a model of their own, if it can be fitted."""
    return healthy(job, rows) & (rows.rows_to_fit >= job.run.spec.model.min_rows)


def conclude(
    job: TrainingJob,
    shard: int,
    rows: PreparedShard,
    fits: Sequence[Fit],
    pooled: bytes | None,
    *,
    failures: Mapping[str, str],
    unserved: Mapping[str, str],
    begin: float,
    candidates: pa.Table | None = None,
) -> ShardResult:
    """Write the models of a shard and measure them on the holdout, which nothing has looked at before.

    Args:
        job: The training step.
        shard: Number of the shard.
        rows: Its rows.
        fits: The models that are to serve, at most one per entity.
        pooled: The candidate's pooled model as an Arrow stream; None where there is none.
        failures: Entities that could not be fitted, with the reason.
        unserved: Entities that have no model for another reason, which the evaluation tells.
        begin: When the work on the shard began, by ``time.thread_time()``.
        candidates: The shard's part of the candidate table.
    """
    spec = job.run.spec
    recipes = spec.model.recipes
    files = tuple(
        write_shard(
            job.run.candidate, shard, recipes[fit.recipe].family, recipes[fit.recipe].parameters, job.schema, fit.models
        )
        for fit in fits
        if fit.models.num_rows
    )
    champion = None if job.champion is None else Champion(job, job.champion, rows.entities)
    predictions = predict_holdout(job, rows, fits, champion, pooled)
    compared = {who: values for who, values in predictions.items() if who != "champion_pooled"}
    holdout = holdout_of(rows)
    standing = standing_of(job, rows, fits, champion, {**unserved, **failures})
    evaluation = evaluate_shard(job.schema, spec.gate, holdout, compared, standing, options=spec.evaluation)
    slices = None
    if spec.evaluation.slices:
        at = pa.array(rows.holdout_rows)
        values = {name: rows.table[name].take(at) for name in spec.evaluation.slices}
        slices = to_bytes(slice_shard(job.schema, spec.gate, holdout, compared, values, spec.evaluation))
    counted = healthy(job, rows)
    return ShardResult(
        shard=shard,
        files=files,
        evaluation=to_bytes(evaluation),
        pooled_rows=to_bytes(_pooled_rows(rows, counted, predictions)),
        totals=tuple(fit_totals(rows, counted).tolist()),
        rows_to_fit=int(rows.rows_to_fit[counted].sum()),
        failures=dict(failures),
        slices=slices,
        candidates=None if candidates is None else to_bytes(candidates),
        cpu_seconds=time.thread_time() - begin,
    )


def _pooled_rows(
    rows: PreparedShard, counted: NDArray[np.bool_], predictions: Mapping[str, NDArray[np.float64] | None]
) -> pa.Table:
    """Return what the pooled model's own evaluation needs of this shard's holdout rows."""
    at = rows.holdout_rows
    keep = np.flatnonzero(counted[rows.segment[at]])
    columns = {"target": pa.array(rows.target[at][keep]), "row_hash": pa.array(rows.row_hash[at][keep])}
    for name, who in (("candidate", "pooled"), ("champion", "champion_pooled")):
        values = predictions[who]
        if values is not None:
            columns[name] = from_matrix(values[keep])
    return pa.table(columns)
