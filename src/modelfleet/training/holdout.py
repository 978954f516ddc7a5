"""A shard's holdout: what every model that is compared predicts for it, and which models there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.data.encode import encode_table
from modelfleet.data.split import TRAIN, VALIDATION
from modelfleet.evaluation.table import HoldoutShard, Standing
from modelfleet.families.base import ENTITY

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.training.champion import Champion
    from modelfleet.training.job import TrainingJob
    from modelfleet.training.prepared import PreparedShard


@dataclass(frozen=True)
class Fit:
    """Models of one recipe.

    Attributes:
        recipe: Its place among the spec's recipes.
        models: One row per model, as the family made them.
    """

    recipe: int
    models: pa.Table

    def places(self, entities: Sequence[str]) -> NDArray[np.int64]:
        """Return (E,) the row of each entity's model, -1 where it has none."""
        place = {entity: row for row, entity in enumerate(self.models[ENTITY].to_pylist())}
        return np.array([place.get(entity, -1) for entity in entities], dtype=np.int64)


def predict_holdout(
    job: TrainingJob, rows: PreparedShard, fits: Sequence[Fit], champion: Champion | None, pooled: bytes | None
) -> dict[str, NDArray[np.float64] | None]:
    """Predict the holdout rows with everything that is compared.

    Args:
        job: The training step.
        rows: The shard.
        fits: The models that are to serve, at most one per entity.
        champion: What serves now; None where nothing does.
        pooled: The candidate's pooled model as an Arrow stream; None where there is none.

    Returns:
        (n, outputs) for ``candidate``, ``baseline``, ``champion``, ``champion_pooled`` and ``pooled``, NaN where
        there is no model; None where there is none for any row.
    """
    at = rows.holdout_rows
    encoded = rows.encoded_at(at)
    segment = rows.segment[at]
    candidate = np.full((len(at), job.schema.outputs), np.nan)
    for fit in fits:
        model = fit.places(rows.entities)[segment]
        own = np.flatnonzero(model >= 0)
        if len(own):
            predictor = job.families[fit.recipe].load(fit.models)
            candidate[own] = predictor.predict(encoded.take(own), model[own].astype(np.int32))
    found: dict[str, NDArray[np.float64] | None] = {
        "candidate": candidate,
        "baseline": rows.baseline()[segment],
        "champion": None,
        "champion_pooled": None,
        "pooled": None,
    }
    if champion is not None:
        encodings = {job.schema: encoded}  # whatever the champion's models need besides comes in here

        def encode(schema: Schema) -> EncodedRows:
            if schema not in encodings:
                encodings[schema] = encode_table(schema, rows.table.take(pa.array(at)))
            return encodings[schema]

        found["champion"] = champion.predict(encode, [rows.entities[each] for each in segment])
        found["champion_pooled"] = champion.predict_pooled(encode, len(at))
    if pooled is not None:
        found["pooled"] = job.pooled_predictor(pooled).predict(encoded, np.zeros(len(at), dtype=np.int32))
    return found


def holdout_of(rows: PreparedShard) -> HoldoutShard:
    """Return the holdout rows of a shard, without features."""
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


def standing_of(
    job: TrainingJob,
    rows: PreparedShard,
    fits: Sequence[Fit],
    champion: Champion | None,
    failures: Mapping[str, str],
) -> Standing:
    """Return which entities have models, and which candidate models equal the champion's.

    Args:
        job: The training step.
        rows: The shard.
        fits: The models that are to serve.
        champion: What serves now; None where nothing does.
        failures: Why entities have no model.
    """
    has = np.zeros(len(rows.entities), dtype=bool)
    unchanged = np.zeros(len(rows.entities), dtype=bool)
    for fit in fits:
        place = fit.places(rows.entities)
        there = place >= 0
        has |= there
        if champion is not None and fit.models.num_rows:
            family = job.run.spec.model.recipes[fit.recipe].family
            unchanged[there] = champion.unchanged(fit.models, family)[place[there]]
    return Standing(
        has_candidate=has,
        has_champion=np.zeros(len(rows.entities), dtype=bool) if champion is None else champion.has_own(),
        unchanged=unchanged,
        failures=failures,
        reference_note={} if champion is None else champion.notes(),
    )
