"""Scoring files in chunks of bounded size: a piece into parts, or all of them into the output."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.badrow import BAD_ROWS, BadRow, bad_row_table
from modelfleet.data.files import csv_rows, find_files
from modelfleet.data.rawchunk import LINE, RawChunk
from modelfleet.data.reading import Piece, column_names, lines_of_rows, read_piece
from modelfleet.data.text import as_text
from modelfleet.errors import DataError, nearest
from modelfleet.serving.ahead import in_order
from modelfleet.serving.score import score_table
from modelfleet.serving.scored_file import (
    FILE,
    ROW_ID,
    ScoredPiece,
    bad_rows_path,
    output_schema,
    prediction_writer,
    row_id_column,
)
from modelfleet.whole_file import replacing

if TYPE_CHECKING:
    from modelfleet.data.files import DataFile
    from modelfleet.data.schema import Schema
    from modelfleet.serving.loading import LoadedFleet
    from modelfleet.spec.data import DataSpec
    from modelfleet.spec.fleet import FleetSpec


def files_to_score(spec: FleetSpec, source: str, schemas: Iterable[Schema]) -> tuple[DataSpec, tuple[DataFile, ...]]:
    """Return how to read the files to score, after checking that each has every column the models need.

    Args:
        spec: The fleet's; says what the training files look like. The files to score may lack the target.
        source: A file, a glob or a folder.
        schemas: The schemas of the models.

    Raises:
        DataError: A file is not there, is not what it says, or lacks a column.
    """
    data = spec.data.model_copy(update={"source": source, "format": "auto"})
    files = find_files(data)
    if not data.header and data.columns and files[0].format == "csv":
        width = len(next((values for _, values in csv_rows(files[0], data.delimiter)), []))
        if width == len(data.columns) - 1:
            columns = {name: column for name, column in data.columns.items() if name != data.target}
            data = data.model_copy(update={"columns": columns})
    needed = dict.fromkeys(name for schema in schemas for name in schema.required)
    for file in files:
        names = column_names(file, data)
        for name in needed:
            if name not in names:
                raise DataError(f"{file.path}: has no column '{name}', which the models need{nearest(name, names)}")
    return data, files


def score_piece(
    fleet: LoadedFleet, piece: Piece, data: DataSpec, folder: Path, number: int, threads: int = 1
) -> ScoredPiece:
    """Score one piece into two parts; a second call replaces them.

    Args:
        fleet: The loaded models.
        piece: What to read.
        data: How to read it.
        folder: Where parts go; there.
        number: The piece's position in the input.
        threads: How many score.

    Raises:
        DataError: The file is truncated or damaged.
    """
    parts = [folder / f"{number:06d}-{kind}.parquet" for kind in ("predictions", "bad_rows")]
    with replacing(parts[0]) as first, replacing(parts[1]) as second:
        rows, rows_bad = _score_into(first, second, fleet, [piece], data, threads)
    return ScoredPiece(number, str(parts[0]), str(parts[1]), rows, rows_bad)


def score_here(
    fleet: LoadedFleet, pieces: Iterable[Piece], data: DataSpec, output: Path, threads: int
) -> tuple[int, int]:
    """Score all pieces into the output, by threads of this process; leaves what ``join_parts`` leaves.

    Args:
        fleet: The loaded models.
        pieces: What to read, in the order of the output.
        data: How to read it.
        output: A Parquet file; replaced whole.
        threads: How many.

    Returns:
        The number of predictions, and of rows without one.

    Raises:
        DataError: A file is truncated or damaged.
    """
    beside = bad_rows_path(output)
    with replacing(output) as first:
        with replacing(beside) as second:
            rows, rows_bad = _score_into(first, second, fleet, pieces, data, threads)
        if not rows_bad:
            beside.unlink()
    return rows, rows_bad


def _score_into(
    first: Path, second: Path, fleet: LoadedFleet, pieces: Iterable[Piece], data: DataSpec, threads: int
) -> tuple[int, int]:
    """Write predictions and bad rows; return the number of each."""
    rows = rows_bad = 0
    schema = output_schema(fleet, data)
    needed = _needed(fleet.schemas.values(), data)
    chunks = (chunk for piece in pieces for chunk in read_piece(piece, data, needed))
    with (
        prediction_writer(first, schema) as predictions,
        pq.ParquetWriter(second, BAD_ROWS) as bad_rows,
        ThreadPoolExecutor(threads, thread_name_prefix="score") as pool,
    ):
        for chunk, (scored, bad) in in_order(pool, lambda chunk: _score_chunk(fleet, chunk, data), chunks, threads):
            predictions.write_table(scored)
            rows += len(scored)
            rows_bad += len(chunk.table) - len(scored) + chunk.rows_bad
            if bad:
                bad_rows.write_table(bad_row_table(bad))
    return rows, rows_bad


def _score_chunk(fleet: LoadedFleet, chunk: RawChunk, data: DataSpec) -> tuple[pa.Table, list[BadRow]]:
    table = chunk.table
    scored = score_table(fleet, table)
    row_id = row_id_column(data)
    found = scored.predictions
    kept = found["row"]
    schema = output_schema(fleet, data)
    columns = {name: found[name] for name in found.column_names}
    columns[FILE] = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(found), np.int32)), [chunk.file.path])
    if row_id is not None:
        nothing = pa.DictionaryArray.from_arrays(pa.nulls(len(table), pa.int32()), pa.array([], pa.string()))
        ids = as_text(table[row_id]) if row_id in table.column_names else nothing
        columns[ROW_ID] = ids.take(kept.combine_chunks())
    if LINE in table.column_names:
        positions = table[LINE].to_numpy()
    else:
        positions = np.arange(chunk.first_row, chunk.first_row + len(table))
    columns["row"] = pa.array(positions[kept.to_numpy()], pa.int64())
    result = pa.table([columns[name] for name in schema.names], schema=schema)
    failed = {int(positions[row]): reason for row, reason in scored.failures.items()}
    lines = lines_of_rows(chunk.file, data, sorted(failed)) if failed else {}
    bad = [BadRow(chunk.file.path, lines.get(row), "", "", reason) for row, reason in sorted(failed.items())]
    return result, [*chunk.bad, *bad]


def _needed(schemas: Iterable[Schema], data: DataSpec) -> frozenset[str]:
    """Return the columns that predictions depend on, and the id that is copied beside them."""
    needed = {name for schema in schemas for name in (*schema.entity, *(feature.name for feature in schema.features))}
    row_id = row_id_column(data)
    return frozenset(needed if row_id is None else {*needed, row_id})
