"""The pooled model: one model over a sample of the whole fleet, drawn evenly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.bundles.modelfile import write_shard
from modelfleet.data.arrow_stream import from_bytes, to_bytes
from modelfleet.data.content import mixed
from modelfleet.data.encoded import EncodedRows
from modelfleet.errors import ModelfleetError
from modelfleet.families.base import TrainingShard
from modelfleet.training.matrix import from_matrix, to_matrix

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelfleet.bundles.format import ShardFile
    from modelfleet.training.job import TrainingJob

POOLED_ENTITY = ""
"""What stands in the entity column of the pooled model's table; nothing reads it."""


@dataclass(frozen=True)
class PooledFit:
    """The pooled model, fitted and written; travels between workers.

    Attributes:
        file: The model file in the candidate.
        model: The table of one model, as an Arrow stream.
        rows: Rows it was fitted on.
    """

    file: ShardFile
    model: bytes
    rows: int


def sample_shard(job: TrainingJob, shard: int) -> bytes:
    """Return the rows of a shard that the pooled model is fitted on, as an Arrow stream.

    Whether a row is drawn depends on its content and the seed alone, so every shard draws by itself and the
    same data gives the same sample.
    """
    rows = job.read(shard, whole=True)
    wanted = np.array([entity not in job.quarantined for entity in rows.entities], dtype=bool)
    at = np.flatnonzero(rows.fits & wanted[rows.segment])
    share = job.run.spec.model.pooled_rows / max(_rows_to_fit(job), 1)
    if share < 1:
        drawn = mixed(rows.row_hash[at] ^ np.uint64(job.sample_seed)) < np.uint64(int(share * 2.0**64))
        at = at[drawn]
    encoded = rows.encoded_at(at)
    return to_bytes(
        pa.table(
            {
                "codes": from_matrix(encoded.codes),
                "numbers": from_matrix(encoded.numbers),
                "target": pa.array(rows.target[at]),
            }
        )
    )


def fit_pooled(job: TrainingJob, samples: Sequence[bytes]) -> PooledFit | str:
    """Fit the pooled model and write it into the candidate.

    Args:
        job: The training step.
        samples: What ``sample_shard`` returned, in the order of the shards.

    Returns:
        The model, or why there is none.
    """
    parts = [from_bytes(sample) for sample in samples]
    target = np.concatenate([part["target"].to_numpy() for part in parts]) if parts else np.empty(0)
    if len(target) == 0:
        return "there are no training rows: every entity is quarantined"
    categories, numbers = len(job.schema.categories), len(job.schema.numbers)
    rows = EncodedRows(
        np.concatenate([to_matrix(part["codes"], categories, np.int32) for part in parts]),
        np.concatenate([to_matrix(part["numbers"], numbers, np.float64) for part in parts]),
    )
    bounds = np.array([0, len(target)], dtype=np.int64)
    fitted = job.pooled_family.fit(TrainingShard((POOLED_ENTITY,), bounds, rows, target))
    if fitted.models.num_rows == 0:
        return fitted.failures.get(POOLED_ENTITY, "the family returned no model")
    recipe = job.run.spec.model.pooled_recipe
    file = write_shard(job.run.candidate, None, recipe.family, recipe.parameters, job.schema, fitted.models)
    return PooledFit(file, to_bytes(fitted.models), len(target))


def _rows_to_fit(job: TrainingJob) -> int:
    """Return the number of rows that could be drawn, over the fleet."""
    profile = job.profile
    rows = profile["rows_train"].to_numpy()
    if not job.choosing:
        rows = rows + profile["rows_validation"].to_numpy()
    if len(rows) == 0:
        raise ModelfleetError(f"{job.run.folder / 'profile.parquet'}: lists no entity; run the step 'prepare' again")
    keep = np.array([entity not in job.quarantined for entity in profile["entity"].to_pylist()], dtype=bool)
    return int(rows[keep].sum())
