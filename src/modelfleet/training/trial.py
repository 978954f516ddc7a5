"""Trying every candidate on a shard's validation rows: the first of two passes over the fleet.

The models and what was measured are kept in the run's folder, so that the second pass takes the winners' models as they
are and fits nothing again. Only what the whole fleet must know of a shard travels.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.data.arrow_stream import from_bytes, to_bytes
from modelfleet.data.split import VALIDATION
from modelfleet.evaluation.choice import Fleet, Trials
from modelfleet.evaluation.losses import loss_name, row_losses
from modelfleet.evaluation.paired import Observations
from modelfleet.training.holdout import Fit
from modelfleet.training.matrix import from_matrix, to_matrix
from modelfleet.training.shard import fittable
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.training.job import TrainingJob


FITTED = "fitted"
"""Folder of what the first pass leaves for the second, in the run's."""


@dataclass(frozen=True)
class ShardTrial:
    """What the fleet must know of a shard's trials; travels between workers.

    Attributes:
        shard: Its number.
        trials: Of candidates 0 (the pooled model) to K, and the entities that get a model.
        cpu_seconds: CPU time spent.
    """

    shard: int
    trials: Trials
    cpu_seconds: float


@dataclass(frozen=True)
class Chosen:
    """What the whole fleet says about the candidates.

    Attributes:
        fleet: What each entity's own differences are shrunk towards.
        cpu_seconds: CPU time the trials took.
    """

    fleet: Fleet
    cpu_seconds: float


@dataclass(frozen=True)
class Tried:
    """A shard's trials as kept in the run's folder.

    Attributes:
        entities: The entities that get a model, if one can be fitted.
        rows: (E,) their validation observations.
        loss: (E, K + 1) mean validation losses, the pooled model's first.
        error: (E, K + 1) their standard errors.
        fitted: (E, K + 1) which candidates there are.
        failures: By candidate number, why an entity does not have it.
    """

    entities: tuple[str, ...]
    rows: NDArray[np.int64]
    loss: NDArray[np.float64]
    error: NDArray[np.float64]
    fitted: NDArray[np.bool_]
    failures: Mapping[int, Mapping[str, str]]


def try_shard(job: TrainingJob, shard: int, pooled: bytes | None) -> ShardTrial:
    """Fit every candidate for every entity of a shard, and measure them on the validation rows.

    Args:
        job: The training step.
        shard: Number of the shard.
        pooled: The candidate's pooled model as an Arrow stream; None where there is none.
    """
    begin = time.thread_time()
    rows = job.read(shard)
    wanted = fittable(job, rows)
    training = rows.training(wanted)
    place = np.cumsum(wanted) - 1
    at = np.flatnonzero((rows.part == VALIDATION) & wanted[rows.segment])
    segment, target, encoded = place[rows.segment[at]], rows.target[at], rows.encoded.take(at)
    spec, size = job.run.spec, len(training.entities)
    loss = loss_name(spec.task, spec.gate)
    losses = np.full((len(at), len(job.families) + 1), np.nan)
    fitted = np.zeros((size, len(job.families) + 1), dtype=bool)
    failures: dict[int, Mapping[str, str]] = {}
    if pooled is not None:
        found = job.pooled_predictor(pooled).predict(encoded, np.zeros(len(at), dtype=np.int32))
        losses[:, 0] = row_losses(loss, found, target, spec.gate.clip)
        fitted[:, 0] = True
    for recipe, family in enumerate(job.families):
        result = family.fit(training)
        fit = Fit(recipe, result.models)
        write_whole(_path(job, shard, recipe), to_bytes(fit.models))
        fitted[:, recipe + 1] = fit.places(training.entities) >= 0
        prediction = _predict(job, fit, encoded, segment, training.entities)
        losses[:, recipe + 1] = row_losses(loss, prediction, target, spec.gate.clip)
        failures[recipe + 1] = result.failures
    observations = Observations.group(rows.row_hash[at], segment, size)
    trials, error = Trials.measure(observations, losses, fitted)
    write_whole(_path(job, shard), to_bytes(_table(training.entities, trials, error, failures)))
    return ShardTrial(shard, trials, time.thread_time() - begin)


def choose(trials: Iterable[ShardTrial]) -> Chosen:
    """Combine the trials of all shards; their order does not matter."""
    every = sorted(trials, key=lambda trial: trial.shard)
    return Chosen(Fleet.learn([trial.trials for trial in every]), sum(trial.cpu_seconds for trial in every))


def read_tried(job: TrainingJob, shard: int) -> Tried:
    """Return what ``try_shard`` left of a shard."""
    table = from_bytes(_path(job, shard).read_bytes())
    width = len(job.families) + 1
    entities = tuple(table["entity"].to_pylist())
    numbers = {name: to_matrix(table[name], width, np.float64) for name in ("loss", "error")}
    failures: dict[int, dict[str, str]] = {}
    for number in range(1, width):
        texts = zip(entities, table[f"failure_{number}"].to_pylist(), strict=True)
        failures[number] = {entity: text for entity, text in texts if text is not None}
    return Tried(
        entities, table["rows"].to_numpy(), **numbers, fitted=to_matrix(table["fitted"], width, bool), failures=failures
    )


def read_fit(job: TrainingJob, shard: int, recipe: int) -> Fit:
    """Return the models of one candidate as ``try_shard`` fitted them."""
    return Fit(recipe, from_bytes(_path(job, shard, recipe).read_bytes()))


def fitted_folder(job: TrainingJob) -> Path:
    """Return where the candidates' models lie between the two passes."""
    return job.run.folder / FITTED


def fitted_names(shard: int) -> str:
    """Return the pattern of what lies there of a shard, within the run's folder."""
    return f"{FITTED}/{_name(shard, '*')}"


def _path(job: TrainingJob, shard: int, recipe: int | None = None) -> Path:
    return fitted_folder(job) / _name(shard, "trials" if recipe is None else f"candidate-{recipe + 1:03d}")


def _name(shard: int, what: str) -> str:
    return f"{shard:05d}-{what}.arrow"


def _predict(
    job: TrainingJob, fit: Fit, encoded: EncodedRows, segment: NDArray[np.int64], entities: Sequence[str]
) -> NDArray[np.float64]:
    prediction = np.full((len(segment), job.schema.outputs), np.nan)
    model = fit.places(entities)[segment]
    own = np.flatnonzero(model >= 0)
    if len(own):
        predictor = job.families[fit.recipe].load(fit.models)
        prediction[own] = predictor.predict(encoded.take(own), model[own].astype(np.int32))
    return prediction


def _table(
    entities: Sequence[str], trials: Trials, error: NDArray[np.float64], failures: Mapping[int, Mapping[str, str]]
) -> pa.Table:
    columns = {
        "entity": pa.array(entities, pa.string()),
        "rows": pa.array(trials.rows),
        "loss": from_matrix(trials.loss),
        "error": from_matrix(error),
        "fitted": from_matrix(trials.fitted),
    }
    for number, reasons in failures.items():
        columns[f"failure_{number}"] = pa.array([reasons.get(entity) for entity in entities], pa.string())
    return pa.table(columns)
