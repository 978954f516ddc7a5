"""Batches of typed rows: as many chunks as are worth dividing among shards at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelfleet.data.arrow_stream import to_bytes
from modelfleet.data.chunk import type_chunk
from modelfleet.data.compact import compact, stack, used_only
from modelfleet.data.entity import shards_of
from modelfleet.data.facts import Facts, merge_facts
from modelfleet.data.plan import ENTITY, PreparePlan
from modelfleet.data.reading import Piece, read_piece
from modelfleet.whole_file import replacing

BATCH_ROWS = 1 << 19
"""A batch is full at this many rows: about 25 MB of typed rows, and as much again while they are put in order."""

_LARGE_DICTIONARY = 256


@dataclass(frozen=True)
class Batch:
    """Typed rows, shard after shard.

    Attributes:
        rows: n rows as ``type_chunk`` returns them, in one chunk.
        bounds: (shards + 1,) int64: rows ``bounds[s]:bounds[s + 1]`` are shard s's.
    """

    rows: pa.Table
    bounds: NDArray[np.int64]

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Yield (shard, its rows as an Arrow stream) for every shard that has rows."""
        for shard in np.flatnonzero(np.diff(self.bounds)).tolist():
            yield shard, to_bytes(_slim(self._of(shard)))

    def write(self, path: Path) -> None:
        """Write the rows into a file of which ``read_part`` reads one shard at a time."""
        with (
            replacing(path) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, self.rows.schema) as writer,
        ):
            for shard in range(len(self.bounds) - 1):
                rows = self._of(shard)
                writer.write_batch(pa.record_batch([column.chunk(0) for column in rows.columns], rows.schema))

    def _of(self, shard: int) -> pa.Table:
        begin, end = int(self.bounds[shard]), int(self.bounds[shard + 1])
        return self.rows.slice(begin, end - begin)


def read_part(path: Path, shard: int) -> pa.Table:
    """Return a shard's rows of a file that ``Batch.write`` wrote, without reading the others'."""
    with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as reader:
        return pa.Table.from_batches([reader.get_batch(shard)])


def typed_batches(plan: PreparePlan, pieces: Iterable[Piece]) -> Iterator[tuple[Batch | None, Facts]]:
    """Read pieces and type their rows; yield batches, and what was counted while each was filled.

    Args:
        plan: What to do with the rows.
        pieces: What to read.

    Yields:
        A batch and its facts; no batch where no row could be used.

    Raises:
        DataError: A file is truncated or is not what it says.
    """
    tables: list[pa.Table] = []
    facts: list[Facts] = []
    rows = 0
    for piece in pieces:
        for chunk in read_piece(piece, plan.spec.data):
            table, counted = type_chunk(plan, chunk)
            tables.append(table)
            facts.append(counted)
            rows += len(table)
            if rows >= BATCH_ROWS:
                yield _batch(tables, plan.spec.resources.shards), merge_facts(facts)
                tables, facts, rows = [], [], 0
    if facts:
        yield _batch(tables, plan.spec.resources.shards), merge_facts(facts)


def piece_groups(pieces: Sequence[Piece], most_rows: int = BATCH_ROWS) -> list[list[Piece]]:
    """Return pieces in groups that fill a batch each; a piece that may be larger is a group of its own.

    Args:
        pieces: What to read.
        most_rows: A group that has this many rows is full.
    """
    groups: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        if piece.rows is None or piece.rows > room:
            groups.append([])
            room = most_rows
        groups[-1].append(piece)
        room = 0 if piece.rows is None else room - piece.rows
    return groups


def _batch(tables: list[pa.Table], shards: int) -> Batch | None:
    rows = stack(tables)
    if not len(rows):
        return None
    keys = rows[ENTITY].chunk(0)
    # Two bytes or less: numpy then sorts by counting
    kind = np.uint16 if shards <= np.iinfo(np.uint16).max else np.int32
    shard = shards_of(keys.dictionary.to_pylist(), shards).astype(kind)[keys.indices.to_numpy()]
    order = np.argsort(shard, kind="stable")
    bounds = np.append(0, np.cumsum(np.bincount(shard, minlength=shards))).astype(np.int64)
    return Batch(rows.take(pa.array(order)).combine_chunks(), bounds)


def _slim(rows: pa.Table) -> pa.Table:
    """Return the rows without the part of a large dictionary that they do not use."""
    for i, field in enumerate(rows.schema):
        column = rows.column(i).chunk(0)
        if pa.types.is_dictionary(field.type) and len(column.dictionary) > _LARGE_DICTIONARY:
            slim = compact(used_only(column) if not column.null_count else column.cast(pa.string()).dictionary_encode())
            rows = rows.set_column(i, field.name, slim)
    return rows
