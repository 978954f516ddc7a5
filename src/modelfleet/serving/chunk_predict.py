"""From a chunk and loaded models to predictions: the columns go to the encoder as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.bundles.loaded import ENTITY_MODEL
from modelfleet.data.encode import encode_columns
from modelfleet.data.entity import EMPTY, plain_entities
from modelfleet.serving.predict import (
    Failure,
    Prediction,
    label_and_score,
    no_model,
    predict_encoded,
    predict_rows,
    row_entity,
)
from modelfleet.serving.request import kind_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.serving.answer import ServedBy
    from modelfleet.serving.chunk import Chunk
    from modelfleet.serving.loading import LoadedFleet


_SERVED_BY = np.array(["entity"], dtype=object), np.array(["pooled"], dtype=object)

FEW_ROWS = 64
"""Fewer than these are predicted row by row: a column has its price too."""


@dataclass(frozen=True)
class PredictedChunk:
    """The results of n rows, as ``ChunkAnswer`` lists them."""

    entity: list[str | None]
    prediction: list[str | float | None]
    score: list[float | None]
    served_by: list[ServedBy | None]
    error: list[str | None]

    def part(self, first: int, last: int) -> PredictedChunk:
        """Return the results of some of the rows."""
        rows = slice(first, last)
        return PredictedChunk(
            self.entity[rows], self.prediction[rows], self.score[rows], self.served_by[rows], self.error[rows]
        )


def predict_chunk(fleet: LoadedFleet, chunk: Chunk) -> PredictedChunk:
    """Predict a chunk's rows; each has a prediction or a reason, the same as if it had come alone.

    Args:
        fleet: The loaded models.
        chunk: n rows, by row or by column.
    """
    if chunk.rows is not None:
        return predict_each(fleet, chunk.rows)
    return predict_columns(fleet, chunk.columns or {}, len(chunk))


def predict_chunks(fleet: LoadedFleet, chunks: Sequence[Chunk]) -> list[PredictedChunk]:
    """Predict chunks, each as if it had come alone; those of the same columns are asked together.

    A call of the models has its price however few rows it has, and eight chunks of 256 rows cost hardly more than two.

    Args:
        fleet: The loaded models.
        chunks: Any number of them.
    """
    results: dict[int, PredictedChunk] = {}
    alike: dict[frozenset[str], list[int]] = {}
    for number, chunk in enumerate(chunks):
        if chunk.columns:
            alike.setdefault(frozenset(chunk.columns), []).append(number)
        else:
            results[number] = predict_chunk(fleet, chunk)
    for names, members in alike.items():
        parts = [chunks[number].columns or {} for number in members]
        together = (
            parts[0]
            if len(parts) == 1
            else {name: list(chain.from_iterable(part[name] for part in parts)) for name in names}
        )
        bounds = [0, *accumulate(len(chunks[number]) for number in members)]
        found = predict_columns(fleet, together, bounds[-1])
        for number, first, last in zip(members, bounds, bounds[1:], strict=False):
            results[number] = found if len(members) == 1 else found.part(first, last)
    return [results[number] for number in range(len(chunks))]


def predict_each(fleet: LoadedFleet, rows: Sequence[Any]) -> PredictedChunk:
    """Predict rows that may have come alone; many that have every column are taken as columns, which costs a third.

    Args:
        fleet: The loaded models.
        rows: n JSON values; one that is no object has a reason instead of a prediction.
    """
    columns = _columns_of(fleet, rows) if len(rows) >= FEW_ROWS else None
    return _by_row(fleet, rows) if columns is None else predict_columns(fleet, columns, len(rows))


def _columns_of(fleet: LoadedFleet, rows: Sequence[Any]) -> Mapping[str, Sequence[Any]] | None:
    """Return the columns that the models look at; None where a row lacks one, or is no object."""
    needed = set(fleet.any_schema.entity)
    needed.update(feature.name for schema in fleet.schemas.values() for feature in schema.features)
    try:
        return {name: [row[name] for row in rows] for name in needed}
    except (KeyError, TypeError):
        return None


def _by_row(fleet: LoadedFleet, rows: Sequence[Any]) -> PredictedChunk:
    found = iter(predict_rows(fleet, [row for row in rows if isinstance(row, dict)]))
    result = PredictedChunk([], [], [], [], [])
    for row in rows:
        reason = f"a row must be an object from column to value, but this is {kind_of(row)}"
        one = next(found) if isinstance(row, dict) else Failure(reason, None)
        result.entity.append(one.entity)
        result.prediction.append(one.prediction if isinstance(one, Prediction) else None)
        result.score.append(one.score if isinstance(one, Prediction) else None)
        result.served_by.append(one.served_by if isinstance(one, Prediction) else None)
        result.error.append(one.reason if isinstance(one, Failure) else None)
    return result


def predict_columns(fleet: LoadedFleet, columns: Mapping[str, Sequence[Any]], n: int) -> PredictedChunk:
    """Predict rows that are given by column.

    Args:
        fleet: The loaded models.
        columns: Column to its n JSON values.
        n: The number of rows.
    """
    result = PredictedChunk([None] * n, [None] * n, [None] * n, [None] * n, [None] * n)
    entities = _entities(fleet, columns, n, result.error)
    result.entity[:] = entities
    # Rows of no entity are asked for like any other, and fail
    slots = fleet.models.slots_of([entity or EMPTY for entity in entities])
    names, of_row = fleet.models.schemas_of(slots)
    for i in np.flatnonzero(of_row < 0).tolist():
        result.error[i] = result.error[i] or no_model(entities[i] or EMPTY)
    for number, name in enumerate(names):
        members = np.flatnonzero(of_row == number)
        if len(members):
            _predict_members(fleet, fleet.schemas[name], columns, members, slots, result)
    return result


def _predict_members(
    fleet: LoadedFleet,
    schema: Schema,
    columns: Mapping[str, Sequence[Any]],
    members: NDArray[np.int64],
    slots: NDArray[np.int64],
    result: PredictedChunk,
) -> None:
    """Predict the rows that one schema encodes."""
    n = len(slots)
    encoded, errors = encode_columns(schema, columns, n)
    good = members
    if errors or result.error.count(None) < n:
        for i in members.tolist():
            result.error[i] = result.error[i] or errors.get(i)
        good = members[[result.error[i] is None for i in members.tolist()]]
    whole = len(good) == n
    predicted = predict_encoded(fleet, encoded if whole else encoded.take(good), slots[good])
    labels, scores = label_and_score(fleet, predicted.values)
    if whole and not predicted.failures:  # nearly always, and a list at a time
        result.prediction[:] = labels.tolist()
        result.score[:] = [None] * n if scores is None else scores.tolist()
        result.served_by[:] = np.where(predicted.server == ENTITY_MODEL, *_SERVED_BY).tolist()
        return
    each = zip(
        good.tolist(),
        labels.tolist(),
        [None] * len(good) if scores is None else scores.tolist(),
        (predicted.server == ENTITY_MODEL).tolist(),
        strict=True,
    )
    for place, (i, label, score, own) in enumerate(each):
        if place in predicted.failures:
            result.error[i] = predicted.failures[place]
        else:
            result.prediction[i], result.score[i] = label, score
            result.served_by[i] = "entity" if own else "pooled"


def _entities(
    fleet: LoadedFleet, columns: Mapping[str, Sequence[Any]], n: int, error: list[str | None]
) -> list[str | None]:
    """Return the rows' entities, None where a row has none; the reasons are put into ``error``."""
    schema = fleet.any_schema
    if len(schema.entity) == 1 and (found := plain_entities(columns.get(schema.entity[0], ()), schema.missing)):
        return [*found]
    keys: list[str | None] = [None] * n
    row: dict[str, Any] = {}
    for i in range(n):
        for name in schema.entity:
            if name in columns:
                row[name] = columns[name][i]
        try:
            keys[i] = row_entity(row, schema)
        except ValueError as failed:
            error[i] = str(failed)
    return keys
