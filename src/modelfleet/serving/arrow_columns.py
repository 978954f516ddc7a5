"""The columns of a chunk that came as Arrow: which types they may have, and their values as JSON would have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from modelfleet.serving.chunk import check_names
from modelfleet.serving.request import MAX_BYTES, BadRequestError, shown

if TYPE_CHECKING:
    import pyarrow as pa

MAX_WRITTEN = 10 * MAX_BYTES
"""Most bytes of a chunk with every value written out: a text that is stored once may be the value of each row, and a
column of nothing takes no bytes at all."""

_BUFFERS = 3
"""Most buffers of a column that is no dictionary."""


class ArrowColumns(Mapping[str, Sequence[Any]]):
    """A table's columns as JSON would have them; each is converted when somebody looks at it.

    Args:
        table: The table; no two columns of one name.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._values: dict[str, list[Any]] = {}

    def __getitem__(self, name: str) -> list[Any]:
        if name not in self._values:
            self._values[name] = plain_values(self._table[name])  # raises KeyError, as it should
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return len(self._table.column_names)


def plain_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Return a column's values as JSON would have them, as far as it can."""
    import pyarrow as pa

    values: list[Any] = column.to_pylist()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return [None if value is None else value.decode("utf-8", "backslashreplace") for value in values]
    return values


def checked_columns(table: pa.Table, size: int) -> ArrowColumns:
    """Return a table's columns, all of which can be converted, in memory that is bounded.

    Args:
        table: What was read, its buffers validated.
        size: Bytes of the stream that it was read from, which no buffer exceeds.

    Raises:
        BadRequestError: A name is there twice, a type is none that JSON has a value for, a value is beyond what that
            may be, or all of them together would take too much memory, here or as dead letters.
    """
    seen = _examined(table.schema.remove_metadata())
    at_most = _BUFFERS * size * table.num_columns * table.column(0).num_chunks  # quicker than asking Arrow
    if (seen.repeats or at_most > MAX_WRITTEN) and (written := _written(table)) > MAX_WRITTEN:
        raise BadRequestError(f"the chunk's values take {written} bytes written out, more than the limit {MAX_WRITTEN}")
    check_names(table.column_names, table.num_rows)
    columns = ArrowColumns(table)
    for name in seen.odd:
        try:
            columns[name]
        except Exception as error:  # whatever Python's dates, numbers or time zones do not know
            reason = f"column {shown(name)} has a value that is no {_short(table.schema.field(name).type)}: {error}"
            raise BadRequestError(reason) from None
    return columns


@dataclass(frozen=True)
class _Examined:
    """What is known of columns by their schema.

    Attributes:
        odd: Those whose values Python may not have.
        repeats: Whether values may take more bytes than their buffers.
    """

    odd: tuple[str, ...]
    repeats: bool


@lru_cache(maxsize=64)
def _examined(schema: pa.Schema) -> _Examined:
    """Look a schema over; most chunks have that of the one before."""
    import pyarrow as pa

    names = schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequestError(f"the column {shown(twice)} is there twice; which value is meant is not known")
    odd = [(name, kind) for name, kind in zip(names, schema.types, strict=True) if not is_plain(kind)]
    for name, kind in odd:
        _check_type(name, kind)
    repeats = any(pa.types.is_dictionary(kind) or pa.types.is_null(kind) for kind in schema.types)
    return _Examined(tuple(name for name, _ in odd), repeats)


@lru_cache(maxsize=256)
def is_plain(kind: pa.DataType) -> bool:
    """Return whether every value of a type is one of JSON: nothing, a truth, a number or a text."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return bool(pa.types.is_string(kind.value_type) or pa.types.is_large_string(kind.value_type))
    tests = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_float32, pa.types.is_float64, pa.types.is_null)
    return any(test(kind) for test in (pa.types.is_string, pa.types.is_large_string, *tests))


def _check_type(name: str, kind: pa.DataType) -> None:
    """Refuse what is neither plain nor of those types whose values go by their texts, where Python can have them."""
    import pyarrow as pa

    tests = (pa.types.is_date, pa.types.is_timestamp, pa.types.is_decimal, pa.types.is_float16)
    if not any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, *tests)):
        raise BadRequestError(
            f"column {shown(name)} has the type {_short(kind)}: expected numbers, booleans, texts (string, "
            "large_string, or a dictionary of these), dates or times; leave out a column that the fleet does not need"
        )


def _written(table: pa.Table) -> int:
    """Return the bytes that a table's values would take, each written out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    total = int(table.nbytes)
    for column, kind in zip(table.columns, table.schema.types, strict=True):
        if pa.types.is_null(kind):
            total += len(column)
        elif pa.types.is_dictionary(kind):
            lengths = (pc.sum(pc.binary_length(part.dictionary).take(part.indices)).as_py() for part in column.chunks)
            total += sum(int(length or 0) for length in lengths)
    return total


def _short(kind: pa.DataType) -> str:
    text = str(kind)
    return text if len(text) <= 80 else f"{text[:79]}…"
