"""What the columns of a data set are: types, roles and missing markers inferred from the data, each with its reason.

Used by ``modelfleet init`` to write a spec, and by a run whose spec names no columns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.data.detection import is_number, present_values, type_of
from modelfleet.data.sample import read_sample
from modelfleet.data.text import as_text
from modelfleet.data.typed import NUMBER_PATTERN, is_missing
from modelfleet.errors import DataError, nearest
from modelfleet.spec.data import Column, ColumnRole, ColumnType, DataSpec
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

MARKERS = ("?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "none", "-", "--", ".", "#N/A", "missing")
"""Texts that data sets use for "no value"."""

_ID_NAME = re.compile(r"(^|[_\s.-])([iI][dD]|uuid|UUID|guid|identifier)([_\s.-]|$)|[a-z]I[dD]$")
_KEY_NAME = re.compile(r"(^|[_\s.-])(key|row|rownum|index|serial|number|no)([_\s.-]|$)", re.I)
_FEW_ROWS = 20
_GROUP_VALUES = 30
_TEXT_WORDS = 3.0
_TEXT_LENGTH = 50.0
_MANY_CLASSES = 20


@dataclass(frozen=True)
class InferredColumn:
    """What a column was taken for.

    Attributes:
        column: Its type and role.
        reason: One sentence why.
        distinct: Number of distinct values, missing ones aside.
        missing: Number of rows without a value.
        rows: Number of rows looked at.
        example: Its most frequent value; empty where it has none.
    """

    column: Column
    reason: str
    distinct: int
    missing: int
    rows: int
    example: str = ""


def infer_missing(table: pa.Table) -> tuple[str, ...]:
    """Return the texts of ``MARKERS`` that the data uses for "no value", sorted.

    ``none`` and ``-`` and the like count only where the rest of the column is numbers or the marker is unmistakable.
    """
    found: set[str] = set()
    plain = {"?", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A"}
    for name in table.column_names:
        if is_number(table[name].type):
            continue
        values = as_text(table[name]).dictionary
        present = set(values.filter(pc.is_in(values, pa.array(MARKERS))).to_pylist())
        if not present:
            continue
        rest = values.filter(pc.invert(pc.is_in(values, pa.array(["", *present]))))
        numeric = len(rest) > 0 and bool(pc.all(pc.match_substring_regex(rest, NUMBER_PATTERN)).as_py())
        found |= present if numeric else present & plain
    return tuple(sorted(found))


def infer_task(table: pa.Table, target: str, *, missing: Sequence[str] = ()) -> tuple[Task, str]:
    """Return the task a target column suggests, and one sentence why.

    Raises:
        DataError: There is no such column, or it has fewer than two values.
    """
    _require(table, (target,))
    texts = as_text(table[target])
    values = present_values(texts.dictionary, missing)
    count = len(values)
    if count < 2:
        raise DataError(f"the target '{target}' has {count} distinct value(s); expected at least 2 to learn from")
    kind = type_of(target, table[target].type, values)
    if count == 2:
        pair = " and ".join(repr(v) for v in sorted(values.to_pylist()))
        return Task.BINARY, f"the target has two values, {pair}"
    if kind is ColumnType.NUMBER:
        return Task.REGRESSION, f"the target is a number with {count:,} distinct values"
    if kind is ColumnType.INTEGER and count > _MANY_CLASSES:
        return Task.REGRESSION, f"the target is a whole number with {count:,} distinct values"
    return Task.MULTICLASS, f"the target has {count:,} distinct values, too few or not fit to be a quantity"


def infer_columns(
    source: pa.Table | str | Path | DataSpec,
    *,
    entity: Sequence[str],
    target: str,
    task: Task | None = None,
    missing: Sequence[str] = (),
    max_levels: int = 50,
) -> dict[str, InferredColumn]:
    """Return type and role of every column, in the data's order; none is left out.

    Args:
        source: A table as ``read_sample`` returns, or what to read it from.
        entity: The key columns.
        target: The predicted column.
        task: None means what the target suggests.
        missing: Texts that mean "no value", besides the empty one.
        max_levels: Levels a category keeps; the rarer ones become "other".

    Raises:
        DataError: An entity or the target is not among the columns.
    """
    table = source if isinstance(source, pa.Table) else read_sample(source, target=target)
    _require(table, (*entity, target))
    task = task or infer_task(table, target, missing=missing)[0]
    result: dict[str, InferredColumn] = {}
    for name in table.column_names:
        seen = _Observed.of(name, table[name], missing)
        if name in entity:
            column = Column(type=ColumnType.CATEGORY, role=ColumnRole.ENTITY)
            reason = f"the entity: {seen.distinct:,} of them, each gets its own model"
        elif name == target:
            number = ColumnType.INTEGER if seen.type is ColumnType.INTEGER else ColumnType.NUMBER
            column = Column(type=number if task is Task.REGRESSION else ColumnType.CATEGORY, role=ColumnRole.TARGET)
            reason = f"the target: {seen.distinct:,} distinct values"
        else:
            column, reason = _infer(seen, max_levels)
        result[name] = InferredColumn(column, reason, seen.distinct, seen.missing, seen.rows, seen.example)
    return _one_of_each(result)


@dataclass(frozen=True)
class _Observed:
    """What the rules look at."""

    name: str
    type: ColumnType
    rows: int
    missing: int
    distinct: int
    values: pa.Array
    counts: np.ndarray  # (distinct,) rows per value
    example: str

    @classmethod
    def of(cls, name: str, column: pa.ChunkedArray, missing: Sequence[str]) -> _Observed:
        texts = as_text(column)
        present = ~is_missing(texts.dictionary, missing).to_numpy(zero_copy_only=False)
        indices = texts.indices.drop_null().to_numpy(zero_copy_only=False)
        counts = np.bincount(indices, minlength=len(texts.dictionary))
        present &= counts > 0
        values, counts = texts.dictionary.filter(pa.array(present)), counts[present]
        example = str(values[int(counts.argmax())].as_py()) if len(values) else ""
        kind = type_of(name, column.type, values)
        return cls(name, kind, len(texts), len(texts) - int(counts.sum()), len(values), values, counts, example)

    @property
    def filled(self) -> int:
        return self.rows - self.missing

    @property
    def unique(self) -> bool:
        return self.distinct == self.rows and self.rows >= 2

    @property
    def named_id(self) -> bool:
        return bool(_ID_NAME.search(self.name))


def _infer(seen: _Observed, max_levels: int) -> tuple[Column, str]:  # noqa: PLR0911 - one rule per return
    """Return type and role of a column that is neither entity nor target."""
    kind, ignore = seen.type, ColumnRole.IGNORE
    if seen.filled == 0:
        return Column(type=ColumnType.TEXT, role=ignore), "ignored: it has no value in any row"
    if seen.distinct == 1 and seen.missing == 0:
        return Column(type=kind, role=ignore), f"ignored: it is {seen.example!r} in every row"
    if kind is ColumnType.DATE:
        return Column(type=kind, role=ignore), "IGNORED: it is a date, and dates are not used yet"
    if kind in (ColumnType.NUMBER, ColumnType.BOOLEAN):
        return Column(type=kind), f"{seen.distinct:,} distinct {'numbers' if kind is ColumnType.NUMBER else 'truths'}"
    words, length = _words(seen.values), _length(seen.values)
    prose = kind is ColumnType.CATEGORY and seen.distinct > max_levels
    prose = prose and (words >= _TEXT_WORDS or length >= _TEXT_LENGTH)
    if seen.unique and seen.rows >= _FEW_ROWS and not prose and _looks_like_id(seen):
        reason = f"an id: no two of the {seen.rows:,} rows share a value; never a feature"
        return Column(type=kind, role=ColumnRole.ROW_ID), reason
    if prose:
        return Column(type=ColumnType.TEXT, role=ignore), (
            f"IGNORED: it is free text ({seen.distinct:,} distinct values of about {words:.0f} words), which is not "
            "used yet"
        )
    if seen.named_id and seen.distinct >= _GROUP_VALUES:
        each = seen.filled / seen.distinct
        reason = f"a repeating id ({seen.distinct:,} values, about {each:.1f} rows each): kept out of the features"
        return Column(type=kind, role=ColumnRole.GROUP), f"{reason}, its rows stay in one part of the split"
    if kind is ColumnType.INTEGER:
        return Column(type=kind), f"{seen.distinct:,} distinct whole numbers"
    if seen.distinct <= max_levels:
        return Column(type=kind), f"{seen.distinct:,} levels"
    kept = int(np.sort(seen.counts)[::-1][:max_levels].sum()) / seen.filled
    reason = f"{seen.distinct:,} levels, of which the {max_levels} most frequent are kept ({kept:.0%} of the rows)"
    return Column(type=kind, max_levels=max_levels), f"{reason}; the others count as 'other'"


def _looks_like_id(seen: _Observed) -> bool:
    """Return whether a column without repetition is an id and not a measurement."""
    if seen.named_id or _KEY_NAME.search(seen.name) or seen.type is ColumnType.CATEGORY:
        return True
    numbers = pc.utf8_ltrim(seen.values, characters="+").cast(pa.int64()).to_numpy()
    return len(numbers) > 1 and int(numbers.max()) - int(numbers.min()) == len(numbers) - 1


def _one_of_each(columns: Mapping[str, InferredColumn]) -> dict[str, InferredColumn]:
    """Keep one row id and one group: the first id, and the group with the fewest values (the widest guard)."""
    result = dict(columns)
    for role, rank in ((ColumnRole.ROW_ID, lambda c: 0), (ColumnRole.GROUP, lambda c: c.distinct)):
        having = sorted((name for name, c in result.items() if c.column.role is role), key=lambda n: rank(result[n]))
        for name in having[1:]:
            old = result[name]
            column = old.column.model_copy(update={"role": ColumnRole.IGNORE})
            reason = f"ignored: {old.reason}; '{having[0]}' already has the role {role}"
            result[name] = InferredColumn(column, reason, old.distinct, old.missing, old.rows, old.example)
    return result


def _words(values: pa.Array) -> float:
    return float(pc.mean(pc.count_substring_regex(values, r"\S+")).as_py() or 0.0)


def _length(values: pa.Array) -> float:
    return float(pc.mean(pc.utf8_length(values)).as_py() or 0.0)


def _require(table: pa.Table, names: Sequence[str]) -> None:
    for name in names:
        if name not in table.column_names:
            raise DataError(f"the data has no column '{name}'{nearest(name, table.column_names)}")
