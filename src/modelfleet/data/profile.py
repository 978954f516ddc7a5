"""The profile: one row per entity that says what its data is like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelfleet.data.plan import PART, ROW, TARGET
from modelfleet.data.split import PARTS

if TYPE_CHECKING:
    from modelfleet.data.schema import Schema

PROFILE = pa.schema(
    [
        ("entity", pa.string()),
        ("shard", pa.int32()),
        ("rows", pa.int64()),
        *((f"rows_{part}", pa.int64()) for part in PARTS),
        ("duplicates", pa.int64()),
        ("missing_share", pa.float64()),
        ("classes_seen", pa.int32()),
        ("class_counts", pa.list_(pa.int64())),
        ("target_mean", pa.float64()),
        ("target_std", pa.float64()),
        ("holdout_threshold", pa.float64()),
    ]
)
"""Columns of profile.parquet. ``classes_seen`` and ``class_counts`` are null for regression, ``target_*`` else."""


def profile_of(
    prepared: pa.Table,
    entities: list[str],
    bounds: NDArray[np.int64],
    *,
    shard: int,
    schema: Schema,
    thresholds: NDArray[np.float64],
) -> pa.Table:
    """Return one row per entity.

    Args:
        prepared: n prepared rows, entity after entity, equal rows side by side.
        entities: The E entities.
        bounds: (E + 1,) int64: rows ``bounds[e]:bounds[e + 1]`` are entity e's.
        shard: Their shard.
        schema: The resolved schema.
        thresholds: (E,) float64 holdout thresholds.
    """
    count = len(entities)
    rows = np.diff(bounds)
    segment = np.repeat(np.arange(count), rows)
    part = prepared[PART].combine_chunks().to_numpy()
    parts = np.bincount(segment * len(PARTS) + part, minlength=count * len(PARTS)).reshape(count, len(PARTS))
    content = prepared[ROW].combine_chunks().to_numpy()
    again = (content[1:] == content[:-1]) & (segment[1:] == segment[:-1])
    duplicates = np.bincount(segment[1:][again], minlength=count)
    missing = np.zeros(count)
    for feature in schema.features:
        column = prepared[feature.name].combine_chunks()
        if column.null_count:
            missing += np.bincount(segment[column.is_null().to_numpy(zero_copy_only=False)], minlength=count)
    columns: dict[str, pa.Array] = {
        "entity": pa.array(entities, pa.string()),
        "shard": pa.array(np.full(count, shard, np.int32)),
        "rows": pa.array(rows),
        **{f"rows_{name}": pa.array(parts[:, j]) for j, name in enumerate(PARTS)},
        "duplicates": pa.array(duplicates),
        "missing_share": pa.array(missing / (rows * max(len(schema.features), 1))),
        "holdout_threshold": pa.array(thresholds),
    }
    target = prepared[TARGET].combine_chunks().to_numpy()
    columns |= _classes(target, segment, count, len(schema.classes)) if schema.classes else _moments(target, bounds)
    arrays = [columns.get(f.name, pa.nulls(count, f.type)) for f in PROFILE]
    return pa.Table.from_arrays(
        [a if a.type == f.type else a.cast(f.type) for a, f in zip(arrays, PROFILE, strict=True)], schema=PROFILE
    )


def _classes(target: NDArray[np.float64], segment: NDArray[np.int64], count: int, classes: int) -> dict[str, pa.Array]:
    counts = np.bincount(segment * classes + target.astype(np.int64), minlength=count * classes)
    table = counts.reshape(count, classes)
    offsets = np.arange(0, count * classes + 1, classes, dtype=np.int32)
    return {
        "classes_seen": pa.array((table > 0).sum(axis=1).astype(np.int32)),
        "class_counts": pa.ListArray.from_arrays(pa.array(offsets), pa.array(counts.astype(np.int64))),
    }


def _moments(target: NDArray[np.float64], bounds: NDArray[np.int64]) -> dict[str, pa.Array]:
    rows = np.diff(bounds)
    mean = np.add.reduceat(target, bounds[:-1]) / rows
    square = np.add.reduceat((target - np.repeat(mean, rows)) ** 2, bounds[:-1]) / rows
    return {"target_mean": pa.array(mean), "target_std": pa.array(np.sqrt(square))}
