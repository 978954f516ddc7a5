"""One chunk of raw rows made into typed rows per shard, with everything counted on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelfleet.data.arrow_stream import to_bytes
from modelfleet.data.badrow import EXAMPLES, BadRow
from modelfleet.data.content import hash_rows
from modelfleet.data.entity import entity_keys, shards_of
from modelfleet.data.facts import Facts
from modelfleet.data.plan import ENTITY, ROW, TARGET, PreparePlan
from modelfleet.data.rawchunk import LINE, RawChunk
from modelfleet.data.reading import lines_of_rows
from modelfleet.data.split import position_of, surely_train
from modelfleet.data.text import as_text
from modelfleet.data.typed import type_column
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task

POSITION = "__position"
"""Column of rows on their way to a shard: where they stand in the split, in [0, 1)."""

_LARGE_DICTIONARY = 256


@dataclass
class _Wrong:
    """Rows found unusable so far."""

    rows: NDArray[np.bool_]
    why: list[tuple[int, str, str, str]] = field(default_factory=list)  # row, column, value, reason

    def add(self, bad: NDArray[np.bool_], column: str, texts: pa.DictionaryArray | None, reason: str) -> None:
        new = np.flatnonzero(bad & ~self.rows)
        self.rows |= bad
        for row in new[: EXAMPLES - len(self.why)].tolist():
            value = "" if texts is None else texts[row].as_py() or ""
            self.why.append((row, column, value, reason))


def type_chunk(plan: PreparePlan, chunk: RawChunk) -> tuple[pa.Table, Facts]:
    """Type a chunk's rows.

    Args:
        plan: What to do.
        chunk: n rows as read.

    Returns:
        The usable rows of the plan's entities: its features and kept columns, ``__entity`` (text), ``__row``
        (uint64), ``__position`` (float64) and ``__target`` (class label as text, or float64); and what was counted.
    """
    table = chunk.table
    n = len(table)
    spec = plan.spec
    texts = {name: as_text(table[name]) for name in table.column_names if name != LINE}
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(n, pa.int32()), pa.array([], pa.string()))
    wrong = _Wrong(np.zeros(n, bool))
    keys = entity_keys([texts.get(name, nothing) for name in spec.entity], plan.missing)
    wrong.add(pc.is_null(keys).to_numpy(zero_copy_only=False), ", ".join(spec.entity), None, "empty entity")
    columns: dict[str, pa.Array] = {}
    for name in (*plan.features, *plan.kept):
        typed = type_column(texts.get(name, nothing), plan.columns[name].type, plan.missing)
        if typed.bad is not None and name in plan.features:
            wrong.add(typed.bad, name, texts[name], typed.reason)
        columns[name] = typed.values
    columns = {name: columns[name] for name in plan.columns if name in columns}
    target = texts.get(spec.data.target, nothing)
    kind = ColumnType.NUMBER if spec.task is Task.REGRESSION else ColumnType.CATEGORY
    typed = type_column(target, kind, plan.missing)
    if typed.bad is not None:
        wrong.add(typed.bad, spec.data.target, target, f"the target: {typed.reason}")
    wrong.add(pc.is_null(typed.values).to_numpy(zero_copy_only=False), spec.data.target, None, "the target is missing")
    row_hash = hash_rows(texts)
    whole = plan.identity_kind == "content"
    identity = row_hash if whole else hash_rows({name: texts.get(name, nothing) for name in plan.identity})
    position = position_of(identity, spec.split.salt)
    columns |= {
        ENTITY: keys,
        ROW: pa.array(row_hash),
        POSITION: pa.array(position),
        TARGET: typed.values,
    }
    rows = pa.table(columns)
    if wrong.rows.any():
        rows = rows.filter(pa.array(~wrong.rows))
    facts = _count(plan, rows, surely_train(position[~wrong.rows], spec.split))
    facts.rows_read = n + chunk.rows_bad
    facts.rows_bad = int(wrong.rows.sum()) + chunk.rows_bad
    facts.bad = [*chunk.bad, *_located(plan, chunk, wrong)][:EXAMPLES]
    if plan.entities is not None:
        rows = _only(rows, plan.entities, facts)
    return rows, facts


def by_shard(rows: pa.Table, shards: int) -> Iterator[tuple[int, bytes]]:
    """Yield (shard, rows of its entities as Arrow IPC bytes) for every shard that has rows."""
    if not len(rows):
        return
    rows = rows.combine_chunks()
    keys = rows[ENTITY].chunk(0)
    shard = shards_of(keys.dictionary.to_pylist(), shards)[keys.indices.to_numpy(zero_copy_only=False)]
    order = np.argsort(shard, kind="stable")
    bounds = np.searchsorted(shard[order], np.arange(shards + 1))
    rows = rows.take(pa.array(order)).combine_chunks()
    for number in range(shards):
        begin, end = int(bounds[number]), int(bounds[number + 1])
        if end > begin:
            yield number, to_bytes(_trimmed(rows.slice(begin, end - begin)))


def _trimmed(rows: pa.Table) -> pa.Table:
    """Return the rows without the part of a large dictionary that they do not use."""
    for i, column_field in enumerate(rows.schema):
        column = rows.column(i)
        if pa.types.is_dictionary(column_field.type) and len(column.chunk(0).dictionary) > _LARGE_DICTIONARY:
            rows = rows.set_column(i, column_field.name, column.cast(pa.string()).dictionary_encode())
    return rows


def _count(plan: PreparePlan, rows: pa.Table, train: NDArray[np.bool_]) -> Facts:
    """Count levels over the rows that are sure to train, and classes over all of them."""
    facts = Facts()
    for name in plan.is_category:
        facts.levels[name] = _counts(rows[name], train)
    if plan.spec.task is not Task.REGRESSION:
        facts.classes = _counts(rows[TARGET], None)
    keys = rows[ENTITY].combine_chunks()
    seen = set(keys.dictionary.to_pylist()) if isinstance(keys, pa.DictionaryArray) else set()
    facts.entity_examples = set(sorted(seen)[:50])
    if plan.entities is not None:
        facts.entities_found = seen & plan.entities
    return facts


def _counts(column: pa.ChunkedArray, chosen: NDArray[np.bool_] | None) -> Counter[str]:
    total: Counter[str] = Counter()
    begin = 0
    for values in column.chunks:
        indices = pc.fill_null(values.indices, len(values.dictionary)).to_numpy(zero_copy_only=False)
        if chosen is not None:
            indices = indices[chosen[begin : begin + len(values)]]
        begin += len(values)
        counts = np.bincount(indices, minlength=len(values.dictionary) + 1)[: len(values.dictionary)]
        for level, count in zip(values.dictionary.to_pylist(), counts.tolist(), strict=True):
            if count and level is not None:
                total[level] += count
    return total


def _located(plan: PreparePlan, chunk: RawChunk, wrong: _Wrong) -> list[BadRow]:
    """Return the bad rows with the lines on which they stand."""
    if not wrong.why:
        return []
    if LINE in chunk.table.column_names:
        line = chunk.table[LINE].to_pylist()
        lines = {row: line[row] + 1 for row, *_ in wrong.why}
    else:
        found = lines_of_rows(chunk.file, plan.spec.data, [chunk.first_row + row for row, *_ in wrong.why])
        lines = {row: found[chunk.first_row + row] for row, *_ in wrong.why if chunk.first_row + row in found}
    path = chunk.file.path
    return [BadRow(path, lines.get(row), column, value, reason) for row, column, value, reason in wrong.why]


def _only(rows: pa.Table, entities: frozenset[str], facts: Facts) -> pa.Table:
    """Keep the rows of some entities. The counts stay those of all: the schema must not depend on the choice."""
    keys = rows[ENTITY].combine_chunks()
    wanted = pc.is_in(keys.dictionary, pa.array(sorted(entities), pa.string())).take(keys.indices)
    kept = rows.filter(wanted)
    facts.rows_other = len(rows) - len(kept)
    return kept
