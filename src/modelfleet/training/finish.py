"""Finishing the training step: the pooled model's own evaluation, the candidate's index, and what the gate reads."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.arrow_stream import from_bytes
from modelfleet.evaluation.metrics import metric_names
from modelfleet.evaluation.table import HoldoutShard, Standing, evaluate_shard
from modelfleet.families.base import ENTITY
from modelfleet.training.champion import Champion
from modelfleet.training.matrix import to_matrix
from modelfleet.training.pooled import PooledFit
from modelfleet.training.trial import fitted_folder
from modelfleet.training.winners import summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from modelfleet.training.job import TrainingJob
    from modelfleet.training.shard import ShardResult
    from modelfleet.training.trial import Chosen


def finish(
    job: TrainingJob,
    results: Sequence[ShardResult],
    pooled: PooledFit | str | None,
    began: float,
    chosen: Chosen | None = None,
) -> dict[str, Any]:
    """Write the candidate's index and manifest, the tables of the evaluation, and train.json last.

    Args:
        job: The training step.
        results: One per shard.
        pooled: What ``fit_pooled`` returned; None where no pooled model was to be trained.
        began: When the step began, as ``time.time()``.
        chosen: What the fleet said about the candidates; None where there was nothing to choose.

    Returns:
        What train.json says.
    """
    results = sorted(results, key=lambda result: result.shard)
    tables = [from_bytes(result.evaluation) for result in results]
    if isinstance(pooled, PooledFit):
        tables.append(_evaluate_pooled(job, results, pooled))
    evaluation = pa.concat_tables(tables).combine_chunks()
    spec = job.run.spec
    writer = BundleWriter(
        job.run.candidate,
        fleet=spec.fleet,
        task=spec.task,
        split_fingerprint=job.split_fingerprint,
        run_id=job.run.record.run_id,
    )
    for result in results:
        for file in result.files:
            writer.include(file, job.schema)
    if isinstance(pooled, PooledFit):
        writer.include_pooled(pooled.file, job.schema)
    bundle = writer.finish(_index_rows(job, evaluation))
    job.run.write_table("evaluation", evaluation)
    if spec.evaluation.slices:
        job.run.write_table("slices", _joined(result.slices for result in results))
    candidates = []
    if chosen is not None:
        table = _joined(result.candidates for result in results)
        job.run.write_table("candidates", table)
        candidates = summarise(spec.model, table, chosen.fleet)
        shutil.rmtree(fitted_folder(job), ignore_errors=True)
    failures = {entity: reason for result in results for entity, reason in result.failures.items()}
    report = {
        "models": bundle.index.num_rows,
        "failures": failures,
        "pooled": isinstance(pooled, PooledFit),
        "pooled_failure": pooled if isinstance(pooled, str) else None,
        "pooled_rows": pooled.rows if isinstance(pooled, PooledFit) else 0,
        "entities": sum(table.num_rows for table in tables[: len(results)]),
        "quarantined": len(job.quarantined),
        "candidates": candidates,
        "bundle_sha256": bundle.sha256,
        "seconds": round(time.time() - began, 3),
        "cpu_seconds": round(
            sum(result.cpu_seconds for result in results) + (0.0 if chosen is None else chosen.cpu_seconds), 3
        ),
    }
    job.run.write("train", report)
    return report


def _joined(parts: Iterable[bytes | None]) -> pa.Table:
    return pa.concat_tables([from_bytes(part) for part in parts if part is not None]).combine_chunks()


def _evaluate_pooled(job: TrainingJob, results: Sequence[ShardResult], pooled: PooledFit) -> pa.Table:
    """Compare the pooled model with the champion's, and with one constant, over the holdout rows of the fleet."""
    rows = pa.concat_tables([from_bytes(result.pooled_rows) for result in results])
    outputs = job.schema.outputs
    total = np.sum([result.totals for result in results], axis=0)
    constant = total / max(sum(result.rows_to_fit for result in results), 1)
    champion = None if job.champion is None else Champion(job, job.champion, ())
    holdout = HoldoutShard(
        entities=("",),
        bounds=np.array([0, rows.num_rows], dtype=np.int64),
        target=rows["target"].to_numpy(),
        row_hash=rows["row_hash"].to_numpy(),
        rows_train=np.array([pooled.rows], dtype=np.int64),
        rows_validation=np.zeros(1, dtype=np.int64),
    )
    predictions = {
        "candidate": to_matrix(rows["candidate"], outputs, np.float64),
        "baseline": np.broadcast_to(constant, (rows.num_rows, outputs)),
        "champion": to_matrix(rows["champion"], outputs, np.float64) if "champion" in rows.column_names else None,
        "pooled": None,
    }
    standing = Standing(
        has_candidate=np.ones(1, dtype=bool),
        has_champion=np.array([job.champion is not None and job.champion.manifest.pooled is not None]),
        unchanged=np.array([champion is not None and champion.pooled_unchanged(from_bytes(pooled.model))]),
        reference_note="" if champion is None else champion.pooled_note(),
    )
    options = job.run.spec.evaluation
    return evaluate_shard(job.schema, job.run.spec.gate, holdout, predictions, standing, kind="pooled", options=options)


def _index_rows(job: TrainingJob, evaluation: pa.Table) -> pa.Table:
    """Return what the candidate's index says of each entity beside the place of its model."""
    own = evaluation.filter(pc.equal(evaluation["kind"], "entity"))
    profile = job.profile
    thresholds = dict(zip(profile["entity"].to_pylist(), profile["holdout_threshold"].to_pylist(), strict=True))
    fitted = own["rows_train"] if job.choosing else pc.add(own["rows_train"], own["rows_validation"])
    columns = {
        ENTITY: own["entity"],
        "rows_train": fitted,
        "holdout_threshold": pa.array([thresholds.get(entity) for entity in own["entity"].to_pylist()], pa.float64()),
        "loss": own["candidate_loss"],
    }
    return pa.table(columns | {name: own[f"candidate_{name}"] for name in metric_names(job.schema.task)})
