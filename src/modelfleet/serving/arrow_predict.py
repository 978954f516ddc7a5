"""Chunks that came as Arrow IPC streams: what is waiting with the same columns is predicted as one table."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.loaded import SERVED_BY
from modelfleet.data.encode import LARGEST_WHOLE
from modelfleet.serving.arrow_columns import ArrowColumns, is_plain
from modelfleet.serving.chunk_predict import predict_columns
from modelfleet.serving.predict import class_and_score
from modelfleet.serving.table_predict import PredictedTable, predict_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelfleet.serving.chunk import Chunk
    from modelfleet.serving.loading import LoadedFleet


def predict_arrow(fleet: LoadedFleet, chunks: Sequence[Chunk]) -> list[pa.RecordBatch]:
    """Predict chunks, each as if it had come alone.

    Args:
        fleet: The loaded models.
        chunks: Any number of them, all with a ``table``.

    Returns:
        The rows of each chunk's ``ArrowAnswer``.
    """
    results: list[pa.RecordBatch] = [None] * len(chunks)
    alike: list[tuple[pa.Schema, list[int]]] = []  # a comparison is much quicker than a hash, and few differ
    tables = [chunk.table.replace_schema_metadata(None) for chunk in chunks if chunk.table is not None]
    for number, table in enumerate(tables):
        schema = table.schema
        members = next((members for other, members in alike if other.equals(schema)), None)
        if members is None:
            alike.append((schema, [number]))
        else:
            members.append(number)
    for _, members in alike:
        together = _predict(fleet, pa.concat_tables([tables[number] for number in members]))
        bounds = [0, *accumulate(len(tables[number]) for number in members)]
        for number, first, last in zip(members, bounds, bounds[1:], strict=False):
            results[number] = together.slice(first, last - first)
    return results


def _predict(fleet: LoadedFleet, table: pa.Table) -> pa.RecordBatch:
    schemas = fleet.schemas.values()
    needed = {name for schema in schemas for name in schema.required}
    looked_at = {*fleet.any_schema.entity, *(feature.name for schema in schemas for feature in schema.features)}
    there = set(table.column_names)
    if needed <= there and all(_is_quick(table[name]) for name in looked_at & there):
        return _from_arrays(fleet, table, predict_table(fleet, table))
    return _by_value(fleet, table)


def _is_quick(column: pa.ChunkedArray) -> bool:
    """Return whether a column can be taken as an array: it means what its values would, one by one."""
    kind = column.type
    if pa.types.is_date(kind) or (pa.types.is_timestamp(kind) and kind.tz is None):  # an entity as data files have it
        return True
    if not is_plain(kind) or pa.types.is_null(kind):
        return False
    if not (pa.types.is_int64(kind) or pa.types.is_uint64(kind)):
        return True
    ends = pc.min_max(column)
    return all(end is None or abs(end) < LARGEST_WHOLE for end in (ends["min"].as_py(), ends["max"].as_py()))


def _from_arrays(fleet: LoadedFleet, table: pa.Table, predicted: PredictedTable) -> pa.RecordBatch:
    n = len(predicted.values)
    failed = np.zeros(n, bool)
    failed[list(predicted.failures)] = True
    mask = failed if predicted.failures else None
    classes = fleet.models.classes
    if classes:
        best, scores = class_and_score(fleet, predicted.values)
        prediction = pa.array(classes, pa.string()).take(pa.array(best, mask=mask))
        score = pa.array(np.ascontiguousarray(scores), mask=mask)
    else:
        prediction = pa.array(predicted.values[:, 0], mask=mask)
        score = pa.nulls(n, pa.float64())
    served_by = pa.array(list(SERVED_BY), pa.string()).take(pa.array(predicted.server, mask=mask))
    error = pa.nulls(n, pa.string())
    if predicted.failures:
        reasons = predicted.failures | _reasons(fleet, table, predicted)
        error = pa.array([reasons.get(i) for i in range(n)], pa.string())
    # A text each: a dictionary would be that of all the chunks, in each answer
    return _rows(predicted.entities.cast(pa.string()), prediction, score, served_by, error)


def _reasons(fleet: LoadedFleet, table: pa.Table, predicted: PredictedTable) -> dict[int, str]:
    """Return why rows are wrong in the words for values: arrays have made texts of all of them."""
    rows = sorted(predicted.unasked)
    if not rows:
        return {}
    found = predict_columns(fleet, ArrowColumns(table.take(pa.array(rows))), len(rows))
    return {row: reason for row, reason in zip(rows, found.error, strict=True) if reason is not None}


def _by_value(fleet: LoadedFleet, table: pa.Table) -> pa.RecordBatch:
    found = predict_columns(fleet, ArrowColumns(table), len(table))
    kind = pa.string() if fleet.models.classes else pa.float64()
    return _rows(
        pa.array(found.entity, pa.string()),
        pa.array(found.prediction, kind),
        pa.array(found.score, pa.float64()),
        pa.array(found.served_by, pa.string()),
        pa.array(found.error, pa.string()),
    )


def _rows(
    entity: pa.Array, prediction: pa.Array, score: pa.Array, served_by: pa.Array, error: pa.Array
) -> pa.RecordBatch:
    names = ["entity", "prediction", "score", "served_by", "error"]
    return pa.record_batch([entity, prediction, score, served_by, error], names=names)
