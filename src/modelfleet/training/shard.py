"""Training one shard: fit, compare with what serves, write. Everything of a shard is done at once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.bundles.modelfile import write_shard
from modelfleet.data.arrow_stream import from_bytes, to_bytes
from modelfleet.data.split import TRAIN, VALIDATION
from modelfleet.evaluation.table import HoldoutShard, Standing, evaluate_shard
from modelfleet.families.base import ENTITY
from modelfleet.training.champion import Champion
from modelfleet.training.matrix import from_matrix
from modelfleet.training.prepared import PreparedShard, fit_totals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.bundles.format import ShardFile
    from modelfleet.families.base import Fitted
    from modelfleet.training.job import TrainingJob


@dataclass(frozen=True)
class ShardResult:
    """What training a shard left; travels between workers.

    Attributes:
        shard: Its number.
        file: The model file written into the candidate; None where no entity got a model.
        evaluation: Its part of the evaluation table, as an Arrow stream.
        pooled_rows: Holdout rows with the predictions of both pooled models, as an Arrow stream.
        totals: (outputs,) rows to fit per class, or the sum of their targets, quarantined entities left out.
        rows_to_fit: Their number.
        failures: Entities that could not be fitted, with the reason.
        cpu_seconds: CPU time spent.
    """

    shard: int
    file: ShardFile | None
    evaluation: bytes
    pooled_rows: bytes
    totals: tuple[float, ...]
    rows_to_fit: int
    failures: dict[str, str] = field(default_factory=dict)
    cpu_seconds: float = 0.0


def train_shard(job: TrainingJob, shard: int, pooled: bytes | None) -> ShardResult:
    """Train and evaluate the entities of one shard.

    Args:
        job: The training step.
        shard: Number of the shard.
        pooled: The candidate's pooled model as an Arrow stream; None where there is none.
    """
    begin = time.thread_time()
    rows = PreparedShard.read(job.shards[shard], job.schema, job.run.entities)
    spec = job.run.spec
    healthy = np.array([entity not in job.quarantined for entity in rows.entities], dtype=bool)
    fitted = job.family.fit(rows.training(healthy & (rows.rows_to_fit >= spec.model.min_rows)))
    file = None
    if fitted.models.num_rows:
        file = write_shard(
            job.run.candidate, shard, spec.model.family, spec.model.parameters, job.schema, fitted.models
        )
    champion = None if job.champion is None else Champion(job, job.champion, rows.entities)
    pooled_table = None if pooled is None else from_bytes(pooled)
    predictions = _predictions(job, rows, fitted, champion, pooled_table)
    evaluation = evaluate_shard(
        job.schema,
        spec.gate,
        _holdout(rows),
        {who: values for who, values in predictions.items() if who != "champion_pooled"},
        _standing(rows, fitted, champion),
    )
    return ShardResult(
        shard=shard,
        file=file,
        evaluation=to_bytes(evaluation),
        pooled_rows=to_bytes(_pooled_rows(rows, healthy, predictions)),
        totals=tuple(fit_totals(rows, healthy).tolist()),
        rows_to_fit=int(rows.rows_to_fit[healthy].sum()),
        failures=dict(fitted.failures),
        cpu_seconds=time.thread_time() - begin,
    )


def _positions(entities: tuple[str, ...], models: pa.Table) -> NDArray[np.int64]:
    """Return (E,) the row of each entity's model, -1 where it has none."""
    place = {entity: row for row, entity in enumerate(models[ENTITY].to_pylist())}
    return np.array([place.get(entity, -1) for entity in entities], dtype=np.int64)


def _predictions(
    job: TrainingJob,
    rows: PreparedShard,
    fitted: Fitted,
    champion: Champion | None,
    pooled: pa.Table | None,
) -> dict[str, NDArray[np.float64] | None]:
    """Predict the holdout rows with everything that is compared."""
    at = rows.holdout_rows
    encoded = rows.encoded.take(at)
    segment = rows.segment[at]
    candidate = np.full((len(at), job.schema.outputs), np.nan)
    model = _positions(rows.entities, fitted.models)[segment]
    own = np.flatnonzero(model >= 0)
    if len(own):
        predictor = job.family.load(fitted.models)
        candidate[own] = predictor.predict(encoded.take(own), model[own].astype(np.int32))
    found: dict[str, NDArray[np.float64] | None] = {
        "candidate": candidate,
        "baseline": rows.baseline()[segment],
        "champion": None,
        "champion_pooled": None,
        "pooled": None,
    }
    if champion is not None:
        table = rows.table.take(pa.array(at))
        found["champion"] = champion.predict(table, [rows.entities[each] for each in segment])
        found["champion_pooled"] = champion.predict_pooled(table)
    if pooled is not None:
        found["pooled"] = job.family.load(pooled).predict(encoded, np.zeros(len(at), dtype=np.int32))
    return found


def _holdout(rows: PreparedShard) -> HoldoutShard:
    at = rows.holdout_rows
    counts = np.bincount(rows.segment[at], minlength=len(rows.entities))
    return HoldoutShard(
        entities=rows.entities,
        bounds=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        target=rows.target[at],
        row_hash=rows.row_hash[at],
        rows_train=rows.count(TRAIN),
        rows_validation=rows.count(VALIDATION),
    )


def _standing(rows: PreparedShard, fitted: Fitted, champion: Champion | None) -> Standing:
    place = _positions(rows.entities, fitted.models)
    unchanged = np.zeros(len(rows.entities), dtype=bool)
    if champion is not None and fitted.models.num_rows:
        unchanged[place >= 0] = champion.unchanged(fitted.models)[place[place >= 0]]
    return Standing(
        has_candidate=place >= 0,
        has_champion=np.zeros(len(rows.entities), dtype=bool) if champion is None else champion.has_own(),
        unchanged=unchanged,
        failures=fitted.failures,
        reference_note={} if champion is None else champion.notes(),
    )


def _pooled_rows(
    rows: PreparedShard, healthy: NDArray[np.bool_], predictions: dict[str, NDArray[np.float64] | None]
) -> pa.Table:
    """Return what the pooled model's own evaluation needs of this shard's holdout rows."""
    at = rows.holdout_rows
    keep = np.flatnonzero(healthy[rows.segment[at]])
    columns = {"target": pa.array(rows.target[at][keep]), "row_hash": pa.array(rows.row_hash[at][keep])}
    for name, who in (("candidate", "pooled"), ("champion", "champion_pooled")):
        values = predictions[who]
        if values is not None:
            columns[name] = from_matrix(values[keep])
    return pa.table(columns)
