"""Reading JSONL: one JSON object per line, every value as text; a line that is none becomes a bad row."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from modelfleet.data.badrow import EXAMPLES, BadRow
from modelfleet.data.files import DataFile, not_utf8
from modelfleet.data.rawchunk import LINE, RawChunk
from modelfleet.data.text import text_of
from modelfleet.errors import DataError

BLOCK_ROWS = 50_000
"""Rows of JSONL read at a time."""


def read_jsonl(file: DataFile) -> Iterator[RawChunk]:
    """Yield chunks with a column LINE, since a line may hold no row."""
    first = 0
    try:
        with file.text() as text:
            while lines := list(islice(text, BLOCK_ROWS)):
                yield _json_chunk(file, first, lines)
                first += len(lines)
    except (UnicodeDecodeError, OSError, EOFError) as error:
        raise not_utf8(file, error) from error


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
