"""The winners of a shard: the second of two passes, which takes one model per entity and meets the holdout with it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.training.holdout import Fit
from modelfleet.training.shard import ShardResult, conclude, train_shard
from modelfleet.training.trial import read_fit, read_tried

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modelfleet.evaluation.choice import Fleet
    from modelfleet.spec.model import ModelSpec
    from modelfleet.training.job import TrainingJob
    from modelfleet.training.trial import Chosen, Tried

CANDIDATES = pa.schema(
    [
        ("entity", pa.string()),
        ("kind", pa.string()),
        ("candidate", pa.int32()),
        ("family", pa.string()),
        ("parameters", pa.string()),
        ("rows", pa.int64()),
        ("loss", pa.float64()),
        ("standard_error", pa.float64()),
        ("score", pa.float64()),
        ("chosen", pa.bool_()),
        ("failure", pa.string()),
    ]
)
"""Columns of the candidate table, one row per entity and candidate.

``kind`` is ``pooled`` for candidate 0, the pooled model, and ``entity`` for the others; ``parameters`` is JSON;
``rows`` counts independent validation observations; ``loss`` is the mean validation loss, ``score`` the shrunk
difference from the fleet's best candidate that the entity has (``evaluation/choice.py``), NaN where the entity has not
this candidate, which ``failure`` explains.
"""


def finished_shard(
    job: TrainingJob, shard: int, pooled: Callable[[], bytes | None], chosen: Chosen | None
) -> ShardResult:
    """Train a shard where there is nothing to choose, else settle what ``try_shard`` has tried."""
    return train_shard(job, shard, pooled) if chosen is None else settle_shard(job, shard, pooled(), chosen)


def settle_shard(job: TrainingJob, shard: int, pooled: bytes | None, chosen: Chosen) -> ShardResult:
    """Choose the winner of every entity of a shard, write their models and measure them on the holdout.

    Args:
        job: The training step.
        shard: Number of a shard that ``try_shard`` has tried.
        pooled: The candidate's pooled model as an Arrow stream; None where there is none.
        chosen: What the whole fleet says.
    """
    begin = time.thread_time()
    tried = read_tried(job, shard)
    scores = chosen.fleet.scores(tried.rows, tried.loss, tried.fitted)
    winners = chosen.fleet.winners(scores)
    fits = [_winning(job, shard, number - 1, tried, winners) for number in np.unique(winners[winners > 0]).tolist()]
    return conclude(
        job,
        shard,
        job.read(shard),
        fits,
        pooled,
        failures=_failures(job.run.spec.model, tried),
        unserved=_unserved(tried, winners),
        begin=begin,
        candidates=candidate_table(job.run.spec.model, tried, scores, winners),
    )


def _winning(job: TrainingJob, shard: int, recipe: int, tried: Tried, winners: NDArray[np.int64]) -> Fit:
    """Return the models of one recipe for the entities that it won."""
    fit = read_fit(job, shard, recipe)
    place = fit.places(tried.entities)[winners == recipe + 1]
    return Fit(recipe, fit.models.take(pa.array(place)))


def _failures(model: ModelSpec, tried: Tried) -> dict[str, str]:
    """Return the entities that no candidate could be fitted for, with the reasons."""
    found = {}
    for place in np.flatnonzero(~tried.fitted[:, 1:].any(axis=1)).tolist():
        entity = tried.entities[place]
        reasons = dict.fromkeys(text for texts in tried.failures.values() if (text := texts.get(entity)))
        found[entity] = "; ".join(reasons) or f"none of {len(model.recipes)} candidates predicts a number for it"
    return found


def _unserved(tried: Tried, winners: NDArray[np.int64]) -> dict[str, str]:
    """Return the entities that the pooled model won, with a sentence saying so."""
    candidates = tried.loss.shape[1]
    found = {}
    for place in np.flatnonzero(winners == 0).tolist():
        rows = int(tried.rows[place])
        seen = f"on its {rows:,} validation rows and the fleet's" if rows else "on the fleet's validation rows"
        found[tried.entities[place]] = f"the pooled model was chosen among {candidates} candidates {seen}"
    return found


def candidate_table(
    model: ModelSpec, tried: Tried, scores: NDArray[np.float64], winners: NDArray[np.int64]
) -> pa.Table:
    """Return every candidate's result for every entity, columns ``CANDIDATES``.

    Args:
        model: The spec's model section.
        tried: What was measured.
        scores: (E, K + 1) shrunk scores, infinite where there is no candidate.
        winners: (E,) number of the candidate that was chosen; -1 for none.
    """
    entities, width = tried.loss.shape
    number = np.tile(np.arange(width), entities)
    entity = np.repeat(np.arange(entities), width)
    recipes = (model.pooled_recipe, *model.recipes)
    failures = [
        tried.failures[number].get(name) if number else None for name in tried.entities for number in range(width)
    ]
    columns = {
        "entity": pa.array(tried.entities, pa.string()).take(pa.array(entity)),
        "kind": pa.array(["pooled", *["entity"] * (width - 1)]).take(pa.array(number)),
        "candidate": pa.array(number, pa.int32()),
        "family": pa.array([recipe.family for recipe in recipes]).take(pa.array(number)),
        "parameters": pa.array([json.dumps(dict(recipe.parameters), sort_keys=True) for recipe in recipes]).take(
            pa.array(number)
        ),
        "rows": pa.array(tried.rows[entity], pa.int64()),
        "loss": pa.array(tried.loss.ravel(), pa.float64(), from_pandas=False),
        "standard_error": pa.array(tried.error.ravel(), pa.float64(), from_pandas=False),
        "score": pa.array(np.where(np.isfinite(scores), scores, np.nan).ravel(), pa.float64(), from_pandas=False),
        "chosen": pa.array(winners[entity] == number),
        "failure": pa.array(failures, pa.string()),
    }
    return pa.Table.from_arrays([columns[field.name] for field in CANDIDATES], schema=CANDIDATES)


def summarise(model: ModelSpec, table: pa.Table, fleet: Fleet) -> list[dict[str, Any]]:
    """Return what became of each candidate over the fleet, the pooled model's first.

    Args:
        model: The spec's model section.
        table: The candidate table.
        fleet: What the whole fleet says.

    Returns:
        For each candidate ``number``, ``label``, ``entities`` that have it, ``chosen``: how many it won,
        ``difference``: its mean validation loss minus the fleet's best candidate's, None where nobody has both, and
        ``spread``: the standard deviation of that difference between entities, beyond chance.
    """
    best = int(fleet.ranking[0])
    labels = ["pooled model", *(recipe.label for recipe in model.recipes)]
    found = []
    for number, label in enumerate(labels):
        own = table.filter(pc.equal(table["candidate"], number))
        mean = float(fleet.mean[number, best])
        found.append(
            {
                "number": number,
                "label": label,
                "entities": int(np.isfinite(own["score"].to_numpy()).sum()),
                "chosen": int(pc.sum(own["chosen"]).as_py() or 0),
                "difference": None if np.isnan(mean) else mean,
                "spread": None if np.isnan(mean) else float(np.sqrt(fleet.between[number, best])),
            }
        )
    return found
