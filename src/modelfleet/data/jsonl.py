"""Reading JSONL: one JSON object per line; a line that is none becomes a bad row.

Arrow reads what it reads as Python would: whole blocks of plain objects whose columns have one type each. The rest is
read line by line, every value as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from modelfleet.data.badrow import EXAMPLES, BadRow
from modelfleet.data.files import DataFile, not_utf8
from modelfleet.data.rawchunk import LINE, RawChunk
from modelfleet.data.text import text_of
from modelfleet.errors import DataError

BLOCK_ROWS = 50_000
"""Rows of JSONL read at a time."""

_EXACT = 2.0**53
"""Whole numbers below this are what they are as floats."""


def read_jsonl(file: DataFile) -> Iterator[RawChunk]:
    """Yield chunks with a column LINE, since a line may hold no row."""
    first = 0
    dates: set[str] = set()
    try:
        with file.text() as text:
            while lines := list(islice(text, BLOCK_ROWS)):
                table = _by_arrow(lines, dates)
                if table is None:
                    yield _json_chunk(file, first, lines)
                else:
                    positions = pa.array(range(first, first + len(lines)), pa.int64())
                    yield RawChunk(file, first, table.append_column(LINE, positions))
                first += len(lines)
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise not_utf8(file, error) from error


def _by_arrow(lines: list[str], dates: set[str]) -> pa.Table | None:
    """Return one row per line, or None where only Python can tell what a line holds.

    Args:
        lines: Of the file.
        dates: Names of columns of texts that Arrow takes for dates; added to.
    """
    # No object can span lines that begin and end like this, so as many rows as lines means one in each
    if not all((plain := line.strip()).startswith("{") and plain.endswith("}") for line in lines):
        return None
    block = "".join(lines).encode()
    options = pa_json.ReadOptions(use_threads=False, block_size=len(block) + 1)
    try:
        while True:
            schema = pa.schema([pa.field(name, pa.string()) for name in sorted(dates)])
            table = pa_json.read_json(
                pa.BufferReader(block), options, pa_json.ParseOptions(explicit_schema=schema if dates else None)
            )
            found = {field.name for field in table.schema if pa.types.is_temporal(field.type)}
            if not found:
                break
            dates |= found
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    names = [name.strip() for name in table.column_names]
    if len(table) != len(lines) or len(set(names)) != len(names) or not all(map(_is_exact, table.columns)):
        return None
    # A column known to be of texts is there even where no line has it: as in the other way of reading, it is not
    there = [i for i, column in enumerate(table.columns) if column.null_count < len(table) or names[i] not in dates]
    table = table.rename_columns(names).select(there)
    nothing = [i for i, field in enumerate(table.schema) if pa.types.is_null(field.type)]
    for i in nothing:
        table = table.set_column(i, table.schema.field(i).name, pa.nulls(len(table), pa.string()))
    return table


def _is_exact(column: pa.ChunkedArray) -> bool:
    """Return whether Arrow's values have the texts that the values in the file have."""
    if pa.types.is_floating(column.type):  # a whole number among them may have lost digits
        return not pc.any(pc.greater_equal(pc.abs(column), _EXACT)).as_py()
    kind = column.type
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_boolean(kind)) or kind == pa.null()


def _json_chunk(file: DataFile, first: int, lines: list[str]) -> RawChunk:
    rows: list[dict[str, object]] = []
    positions: list[int] = []
    bad: list[BadRow] = []
    count = 0
    for position, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            reason = f"is not JSON: {error}"
        else:
            if isinstance(row, dict):
                rows.append(row)
                positions.append(position)
                continue
            reason = f"expected a JSON object, found {type(row).__name__}"
        count += 1
        if len(bad) < EXAMPLES:
            bad.append(BadRow(file.path, position + 1, "", line.strip(), reason))
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {
        name.strip(): pa.array([None if (v := row.get(name)) is None else text_of(v) for row in rows], pa.string())
        for name in names
    }
    columns[LINE] = pa.array(positions, pa.int64())
    return RawChunk(file, first, pa.table(columns), count, bad)


def json_names(file: DataFile) -> list[str]:
    names: dict[str, None] = {}
    try:
        with file.text() as text:
            for line in islice(text, 1_000):
                if line.strip():
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(row, dict):
                        names.update(dict.fromkeys(name.strip() for name in row))
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise not_utf8(file, error) from error
    if not names:
        raise DataError(f"{file.path}: expected one JSON object per line, but none of its first 1,000 lines is one")
    return list(names)
