"""One chunk of raw rows made into typed rows, with everything counted on the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import nsmallest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelfleet.data.badrow import EXAMPLES, BadRow
from modelfleet.data.compact import compact
from modelfleet.data.content import hash_rows
from modelfleet.data.entity import entity_keys
from modelfleet.data.facts import SHOWN_ENTITIES, Facts
from modelfleet.data.plan import ENTITY, ROW, TARGET, PreparePlan
from modelfleet.data.rawchunk import LINE, RawChunk
from modelfleet.data.reading import lines_of_rows
from modelfleet.data.split import position_of, surely_train
from modelfleet.data.text import texts_and_values
from modelfleet.data.typed import type_column
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task

POSITION = "__position"
"""Column of rows on their way to a shard: where they stand in the split, in [0, 1)."""


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
        The usable rows of the plan's entities, in one chunk: its features and kept columns, ``__entity`` (text),
        ``__row`` (uint64), ``__position`` (float64) and ``__target`` (class label as text, or float64), all as
        ``modelfleet.data.compact`` makes them; and what was counted.
    """
    table = chunk.table
    n = len(table)
    spec = plan.spec
    found = {name: texts_and_values(table[name]) for name in table.column_names if name != LINE}
    texts = {name: column for name, (column, _) in found.items()}
    nothing = pa.DictionaryArray.from_arrays(pa.nulls(n, pa.int32()), pa.array([], pa.string()))
    absent = (nothing, None)
    wrong = _Wrong(np.zeros(n, bool))
    keys = entity_keys([texts.get(name, nothing) for name in spec.entity], plan.missing)
    wrong.add(_is_null(keys), ", ".join(spec.entity), None, "empty entity")
    columns: dict[str, pa.Array] = {}
    for name in (*plan.features, *plan.kept):
        column, values = found.get(name, absent)
        typed = type_column(column, plan.columns[name].type, plan.missing, values)
        if typed.bad is not None and name in plan.features:
            wrong.add(typed.bad, name, texts[name], typed.reason)
        columns[name] = compact(typed.coded)
    columns = {name: columns[name] for name in plan.columns if name in columns}
    target, values = found.get(spec.data.target, absent)
    kind = ColumnType.NUMBER if spec.task is Task.REGRESSION else ColumnType.CATEGORY
    typed = type_column(target, kind, plan.missing, values)
    if typed.bad is not None:
        wrong.add(typed.bad, spec.data.target, target, f"the target: {typed.reason}")
    wrong.add(_is_null(typed.values), spec.data.target, None, "the target is missing")
    row_hash = hash_rows(texts)
    whole = plan.identity_kind == "content"
    identity = row_hash if whole else hash_rows({name: texts.get(name, nothing) for name in plan.identity})
    position = position_of(identity, spec.split.salt)
    columns |= {
        ENTITY: keys,
        ROW: pa.array(row_hash),
        POSITION: pa.array(position),
        TARGET: compact(typed.coded),
    }
    rows = pa.table(columns)
    if wrong.rows.any():
        rows = rows.filter(pa.array(~wrong.rows))
        position = position[~wrong.rows]
    facts = _count(plan, rows, surely_train(position, spec.split))
    facts.rows_read = n + chunk.rows_bad
    facts.rows_bad = int(wrong.rows.sum()) + chunk.rows_bad
    facts.bad = [*chunk.bad, *_located(plan, chunk, wrong)][:EXAMPLES]
    if plan.entities is not None:
        rows = _only(rows, plan.entities, facts)
    return rows, facts


def _is_null(values: pa.Array) -> NDArray[np.bool_]:
    null: NDArray[np.bool_] = values.is_null().to_numpy(zero_copy_only=False)
    return null


def _count(plan: PreparePlan, rows: pa.Table, train: NDArray[np.bool_]) -> Facts:
    """Count levels over the rows that are sure to train, and classes over all of them."""
    facts = Facts()
    chosen = np.flatnonzero(train)
    for name in plan.is_category:
        facts.levels[name] = _counts(rows[name], chosen)
    if plan.spec.task is not Task.REGRESSION:
        facts.classes = _counts(rows[TARGET], None)
    keys = rows[ENTITY].combine_chunks()
    if isinstance(keys, pa.DictionaryArray):  # there are rows
        seen = keys.dictionary.take(pa.array(np.flatnonzero(np.bincount(keys.indices.to_numpy()))))
        facts.entity_examples = set(nsmallest(SHOWN_ENTITIES, seen.to_pylist()))
        if plan.entities is not None:
            facts.entities_found = set(seen.to_pylist()) & plan.entities
    return facts


def _counts(column: pa.ChunkedArray, chosen: NDArray[np.int64] | None) -> Counter[str]:
    """Return how often each text occurs in a column of one chunk, in the chosen rows or in all."""
    total: Counter[str] = Counter()
    for values in column.chunks:
        levels = len(values.dictionary)
        indices = values.indices
        if indices.null_count:
            indices = pc.fill_null(indices.cast(pa.int32()), levels)
        codes = indices.to_numpy(zero_copy_only=False)
        counts = np.bincount(codes if chosen is None else codes[chosen], minlength=levels + 1)[:levels]
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
