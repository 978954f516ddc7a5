"""One shard's rows put in order, split and described: what the training step reads."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from modelfleet.data.chunk import POSITION
from modelfleet.data.compact import plain, stack, used_only
from modelfleet.data.plan import ENTITY, PART, ROW, TARGET
from modelfleet.data.profile import profile_of
from modelfleet.data.schema import Schema
from modelfleet.data.split import holdout_threshold, parts_of
from modelfleet.errors import DataError
from modelfleet.spec.data import SplitSpec
from modelfleet.whole_file import replacing

_NAME = re.compile(r"shard-(\d+)\.parquet")


def shard_file(number: int) -> str:
    """Return the name of a shard's file."""
    return f"shard-{number:05d}.parquet"


def shard_number(path: Path) -> int:
    """Return the number in the name of a shard's file.

    Raises:
        DataError: It is another file.
    """
    found = _NAME.fullmatch(path.name)
    if found is None:
        raise DataError(f"{path}: not the name of a prepared shard, such as {shard_file(0)}")
    return int(found[1])


def shard_files(folder: Path) -> dict[int, Path]:
    """Return the files of a run's folder of prepared shards, by number, ascending; empty where there is none."""
    return {shard_number(path): path for path in sorted(folder.glob("shard-*.parquet"))}


def assemble_shard(
    tables: Iterable[pa.Table],
    *,
    shard: int,
    schema: Schema,
    split: SplitSpec,
    thresholds: Mapping[str, float],
) -> tuple[pa.Table, pa.Table]:
    """Return a shard's prepared rows and its profile.

    Rows are sorted by entity and content, so the result does not depend on the order in which they arrive.

    Args:
        tables: Its rows, as ``type_chunk`` returns them; at least one row.
        shard: Its number.
        schema: The resolved schema.
        split: The spec's split.
        thresholds: The champion's holdout threshold of each entity that has one.
    """
    rows = stack([_with_own_entities(table) for table in tables])
    keys = rows[ENTITY].chunk(0)
    by_name = pc.sort_indices(keys.dictionary).to_numpy()
    rank = np.empty(len(by_name), np.int64)
    rank[by_name] = np.arange(len(by_name))
    entity = rank[keys.indices.to_numpy()]
    order = _order(entity, rows[ROW].chunk(0).to_numpy())
    rows = rows.take(pa.array(order)).combine_chunks()
    entity = entity[order]
    begins = np.flatnonzero(np.r_[True, entity[1:] != entity[:-1]])
    bounds = np.append(begins, len(entity)).astype(np.int64)
    names = keys.dictionary.take(pa.array(by_name)).to_pylist()
    position = rows[POSITION].chunk(0).to_numpy()
    threshold = _thresholds(names, bounds, position, split, thresholds)
    part = parts_of(position, np.repeat(threshold, np.diff(bounds)), split)
    target = _target(rows[TARGET].chunk(0), schema)
    ours = (POSITION, TARGET, ENTITY, ROW)
    columns = {name: plain(rows[name].chunk(0)) for name in rows.column_names if name not in ours}
    columns[ENTITY] = pa.DictionaryArray.from_arrays(pa.array(entity.astype(np.int32)), names)
    columns |= {PART: pa.array(part), ROW: rows[ROW], TARGET: pa.array(target)}
    prepared = pa.table(columns)
    profile = profile_of(prepared, names, bounds, shard=shard, schema=schema, thresholds=threshold)
    return prepared, profile


def write_shard(folder: Path, shard: int, prepared: pa.Table) -> None:
    """Write a shard's rows, whole or not at all; a second worker doing the same does no harm."""
    with replacing(folder / shard_file(shard)) as temporary:
        # Numbers are many and rarely equal side by side: looking each up in a dictionary costs more than it saves
        texts = [field.name for field in prepared.schema if pa.types.is_dictionary(field.type)]
        pq.write_table(prepared, temporary, compression="lz4", use_dictionary=texts, write_statistics=False)


def champion_thresholds(index: str | None, fingerprint: str) -> dict[str, float]:
    """Return the holdout threshold of each entity of the champion that was split in the same way.

    Args:
        index: Path of the champion's index.parquet; None means there is no champion.
        fingerprint: This run's split fingerprint; under another one positions are not comparable.
    """
    if index is None:
        return {}
    table = pq.read_table(index, columns=["entity", "split_fingerprint", "holdout_threshold"])
    same = pc.equal(table["split_fingerprint"], fingerprint)
    table = table.filter(pc.and_(same, pc.is_finite(table["holdout_threshold"])))
    pairs = zip(table["entity"].to_pylist(), table["holdout_threshold"].to_pylist(), strict=True)
    return {entity: threshold for entity, threshold in pairs if threshold is not None}


def _with_own_entities(rows: pa.Table) -> pa.Table:
    """Return rows whose dictionary of entities has no others: they came with all those of their batch."""
    place = rows.schema.get_field_index(ENTITY)
    return rows.set_column(place, ENTITY, used_only(rows.column(place).chunk(0)))


def _order(entity: NDArray[np.int64], row: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the order of rows by entity, and by content within one.

    Args:
        entity: (n,) whose each row is, from 0.
        row: (n,) hash of each row.
    """
    bits = np.uint64(max(int(entity.max()).bit_length(), 1))
    # One sort of one number per row; where the bits left for the hash do not tell two rows apart, both are compared
    key = (entity.astype(np.uint64) << (np.uint64(64) - bits)) | (row >> bits)
    order = np.argsort(key)
    key, row_in_order = key[order], row[order]
    if ((key[1:] == key[:-1]) & (row_in_order[1:] < row_in_order[:-1])).any():
        return np.lexsort((row, entity))
    return order


def _thresholds(
    names: list[str],
    bounds: NDArray[np.int64],
    position: NDArray[np.float64],
    split: SplitSpec,
    before: Mapping[str, float],
) -> NDArray[np.float64]:
    """Return each entity's holdout threshold; only entities above the cap are looked at one by one."""
    result = np.fromiter((min(split.holdout, before.get(n, split.holdout)) for n in names), np.float64, len(names))
    inside = position < np.repeat(result, np.diff(bounds))
    counts = np.add.reduceat(inside.astype(np.int64), bounds[:-1])
    for e in np.flatnonzero(counts > split.holdout_cap).tolist():
        own = position[bounds[e] : bounds[e + 1]]
        result[e] = holdout_threshold(own, split.holdout, split.holdout_cap, before.get(names[e]))
    return result


def _target(values: pa.Array, schema: Schema) -> NDArray[np.float64]:
    if not schema.classes:
        numbers: NDArray[np.float64] = plain(values).to_numpy(zero_copy_only=False).astype(np.float64)
        return numbers
    index = pc.index_in(values.dictionary, pa.array(schema.classes, pa.string())).to_numpy(zero_copy_only=False)
    classes: NDArray[np.float64] = index.astype(np.float64)[values.indices.to_numpy()]
    return classes
