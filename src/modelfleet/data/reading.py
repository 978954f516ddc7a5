"""Reading data files in pieces of bounded size: CSV and JSONL as texts, Parquet with the types it has.

Nothing is typed here: see ``modelfleet.data.typed``.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from modelfleet.data.badrow import EXAMPLES, BadRow
from modelfleet.data.files import DataFile, csv_names, csv_rows, find_files, not_utf8
from modelfleet.data.jsonl import json_names, read_jsonl
from modelfleet.data.rawchunk import RawChunk
from modelfleet.errors import DataError, nearest

if TYPE_CHECKING:
    from modelfleet.spec.data import DataSpec
    from modelfleet.spec.fleet import FleetSpec

BLOCK_BYTES = 2 << 20
"""Bytes of CSV text read at a time; no row may be longer. Arrow reads up to 32 blocks ahead of whoever takes the rows,
whether or not it may use threads, so this is what bounds the memory of reading."""

BLOCKS = 8
"""Blocks of CSV text in a chunk of rows: what is done once per chunk is not worth doing for less."""

BLOCK_ROWS = 1 << 17
"""Rows of a Parquet file read at a time."""


@dataclass(frozen=True)
class Piece:
    """What one worker reads: a whole text file, or one row group of a Parquet file.

    Attributes:
        file: The file.
        row_group: Of a Parquet file; None for a text file.
        first_row: Rows of the file before this piece.
        rows: How many it has; None where only reading tells.
    """

    file: DataFile
    row_group: int | None = None
    first_row: int = 0
    rows: int | None = None


def column_names(file: DataFile, data: DataSpec) -> list[str]:
    """Return the names of a file's columns.

    Raises:
        DataError: The file is not what it says.
    """
    if file.format == "csv":
        return csv_names(file, data)[1]
    if file.format == "parquet":
        names = [name.strip() for name in _parquet(file).schema_arrow.names]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"{file.path}: the column '{twice[0]}' is there more than once; give each its own name")
        return names
    return json_names(file)


def check_files(spec: FleetSpec) -> tuple[DataFile, ...]:
    """Return the fleet's data files after checking that each is what it says and has the columns it must have.

    Only the beginning (Parquet: the footer) of each file is read.

    Raises:
        DataError: Names the file, the column that is missing and the nearest one there is.
    """
    data = spec.data
    files = find_files(data)
    needed = dict.fromkeys([*spec.entity, data.target, *(data.columns or ())])
    for file in files:
        names = column_names(file, data)
        for name in needed:
            if name in names:
                continue
            what = "the entity" if name in spec.entity else "the target" if name == data.target else "data.columns"
            hint = nearest(name, names)
            if len(names) == 1:
                hint = f"; its only column is '{names[0]}': is the delimiter really {data.delimiter!r}?"
            raise DataError(f"{file.path}: has no column '{name}' (expected as {what}){hint}")
    return files


def pieces_of(file: DataFile) -> list[Piece]:
    """Return what can be read of a file in parallel."""
    if file.format != "parquet":
        return [Piece(file)]
    pieces, first = [], 0
    metadata = _parquet(file).metadata
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        pieces.append(Piece(file, group, first, rows))
        first += rows
    return pieces


def read_piece(piece: Piece, data: DataSpec, columns: Collection[str] | None = None) -> Iterator[RawChunk]:
    """Yield a piece's rows in chunks, in the file's order.

    Args:
        piece: What to read.
        data: How to read it.
        columns: Those that are needed; others of a Parquet file are not read. None means all.

    Raises:
        DataError: The file is truncated or is not what it says.
    """
    if piece.file.format == "parquet":
        yield from _read_row_group(piece, columns)
    elif piece.file.format == "csv":
        yield from _read_csv(piece.file, data)
    else:
        yield from read_jsonl(piece.file)


def _parquet(file: DataFile) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file.at)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{file.path}: expected a Parquet file, but it is truncated or damaged: {error}") from error


def _read_row_group(piece: Piece, columns: Collection[str] | None) -> Iterator[RawChunk]:
    path = piece.file.path
    schema = _parquet(piece.file).schema_arrow
    wanted = [field for field in schema if columns is None or field.name.strip() in columns]
    texts = [f.name for f in wanted if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
    first = piece.first_row
    try:
        with pq.ParquetFile(piece.file.at, read_dictionary=texts) as file:
            batches = file.iter_batches(
                BLOCK_ROWS, [piece.row_group or 0], [field.name for field in wanted], use_threads=False
            )
            for batch in batches:
                names = [name.strip() for name in batch.schema.names]
                yield RawChunk(piece.file, first, pa.Table.from_batches([batch]).rename_columns(names))
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: row group {piece.row_group} is truncated or damaged: {error}") from error


def _read_csv(file: DataFile, data: DataSpec) -> Iterator[RawChunk]:
    raw, names = csv_names(file, data)
    skipped = 0

    def skip(row: pa_csv.InvalidRow) -> str:
        nonlocal skipped
        skipped += 1
        return "skip"

    try:
        reader = pa_csv.open_csv(
            file.at,
            pa_csv.ReadOptions(
                use_threads=False, block_size=BLOCK_BYTES, column_names=None if data.header else raw, encoding="utf8"
            ),
            pa_csv.ParseOptions(delimiter=data.delimiter, newlines_in_values=True, invalid_row_handler=skip),
            pa_csv.ConvertOptions(column_types=dict.fromkeys(raw, pa.string()), strings_can_be_null=False),
        )
        first = 0
        while batches := list(islice(reader, BLOCKS)):
            rows = pa.Table.from_batches(batches)
            del batches  # whoever takes the rows may give them up before the next are read
            if rows.num_columns != len(names):
                raise DataError(f"{file.path}: expected {len(names)} columns, found {rows.num_columns}")
            chunk = RawChunk(file, first, rows.rename_columns(names), skipped)
            skipped = 0
            if chunk.rows_bad:
                chunk.bad = _malformed(file, data, len(names), chunk.rows_bad) if first == 0 else []
            first += len(rows)
            yield chunk
        if skipped:  # nothing but malformed rows at the end
            nothing = pa.table({name: pa.array([], pa.string()) for name in names})
            bad = _malformed(file, data, len(names), skipped) if first == 0 else []
            yield RawChunk(file, first, nothing, skipped, bad)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if "invalid UTF8" in str(error) or isinstance(error, UnicodeDecodeError):
            raise not_utf8(file, error) from error
        raise DataError(f"{file.path}: cannot be read as CSV with delimiter {data.delimiter!r}: {error}") from error


def _malformed(file: DataFile, data: DataSpec, expected: int, count: int) -> list[BadRow]:
    """Return the first rows with the wrong number of values."""
    found: list[BadRow] = []
    try:
        for line, row in csv_rows(file, data.delimiter):
            if len(row) != expected:
                reason = f"expected {expected} values, found {len(row)}"
                found.append(BadRow(file.path, line, "", data.delimiter.join(row), reason))
                if len(found) >= min(count, EXAMPLES):
                    break
    except (csv.Error, UnicodeDecodeError):  # what could be told has been told
        pass
    return found


def lines_of_rows(file: DataFile, data: DataSpec, rows: list[int]) -> dict[int, int]:
    """Return the line on which each of some rows begins (for a Parquet file: its position), counted from 1.

    Args:
        file: Where they come from.
        data: The spec's data section.
        rows: Positions among the rows ``read_piece`` yields, from 0.
    """
    if file.format != "csv":  # a JSONL chunk's first_row counts lines
        return {row: row + 1 for row in rows}
    wanted, lines, position = set(rows), {}, 0
    try:
        width = len(csv_names(file, data)[1])
        for line, row in islice(csv_rows(file, data.delimiter), 1 if data.header else 0, None):
            if len(row) != width:
                continue
            if position in wanted:
                lines[position] = line
                if len(lines) == len(wanted):
                    break
            position += 1
    except (csv.Error, UnicodeDecodeError):  # a line number is worth less than the row's reason
        pass
    return lines
