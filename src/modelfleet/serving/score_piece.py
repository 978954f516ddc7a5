"""Scoring files: one piece at a time into parts, and the parts into one output in the order of the input."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.badrow import BAD_ROWS, BadRow, bad_row_table
from modelfleet.data.files import csv_rows, find_files
from modelfleet.data.rawchunk import LINE, RawChunk
from modelfleet.data.reading import Piece, column_names, lines_of_rows, read_piece
from modelfleet.data.text import TEXT, as_text
from modelfleet.errors import DataError, nearest
from modelfleet.serving.score import prediction_schema, score_table
from modelfleet.spec.data import ColumnRole
from modelfleet.whole_file import replacing

if TYPE_CHECKING:
    from modelfleet.data.files import DataFile
    from modelfleet.data.schema import Schema
    from modelfleet.serving.loading import LoadedFleet
    from modelfleet.spec.data import DataSpec
    from modelfleet.spec.fleet import FleetSpec

Item = TypeVar("Item")
Result = TypeVar("Result")

ROW_ID = "row_id"
FILE = "file"


@dataclass(frozen=True)
class ScoredPiece:
    """What became of a piece.

    Attributes:
        number: Its position in the input.
        predictions: The part with its predictions.
        bad_rows: The part with its bad rows.
        rows: Number of predictions.
        rows_bad: Number of rows without one.
    """

    number: int
    predictions: str
    bad_rows: str
    rows: int
    rows_bad: int


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
    needed = dict.fromkeys(
        name for schema in schemas for name in (*schema.entity, *(feature.name for feature in schema.features))
    )
    for file in files:
        names = column_names(file, data)
        for name in needed:
            if name not in names:
                raise DataError(f"{file.path}: has no column '{name}', which the models need{nearest(name, names)}")
    return data, files


def row_id_column(data: DataSpec) -> str | None:
    """Return the column whose values are copied beside the predictions; None where there is none."""
    return next((name for name, c in (data.columns or {}).items() if c.role is ColumnRole.ROW_ID), None)


def output_schema(fleet: LoadedFleet, data: DataSpec) -> pa.Schema:
    """Return the columns of the output: the file, the row's position in it, its id if it has one, the prediction."""
    fields = [pa.field(FILE, TEXT), *prediction_schema(fleet)]
    if row_id_column(data) is not None:
        fields.insert(2, pa.field(ROW_ID, TEXT))
    return pa.schema(fields)


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


def join_parts(pieces: Iterable[ScoredPiece], output: Path) -> None:
    """Write the output, and ``<output>_bad_rows.parquet`` beside it if there are any, and remove the parts.

    Args:
        pieces: All pieces, in any order.
        output: A Parquet file; replaced whole.
    """
    ordered = sorted(pieces, key=lambda piece: piece.number)
    beside = bad_rows_path(output)
    if any(piece.rows_bad for piece in ordered):
        _concatenate([piece.bad_rows for piece in ordered], beside)
    else:
        beside.unlink(missing_ok=True)
    _concatenate([piece.predictions for piece in ordered], output)
    for folder in {Path(piece.predictions).parent for piece in ordered}:
        shutil.rmtree(folder, ignore_errors=True)


def bad_rows_path(output: Path) -> Path:
    """Return where the rows without a prediction go."""
    return output.with_name(f"{output.stem}_bad_rows.parquet")


def _score_into(
    first: Path, second: Path, fleet: LoadedFleet, pieces: Iterable[Piece], data: DataSpec, threads: int
) -> tuple[int, int]:
    """Write predictions and bad rows; return the number of each."""
    rows = rows_bad = 0
    schema = output_schema(fleet, data)
    needed = _needed(fleet.schemas.values(), data)
    chunks = (chunk for piece in pieces for chunk in read_piece(piece, data, needed))
    with (
        _writer(first, schema) as predictions,
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


def in_order(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[tuple[Item, Result]]:
    """Yield each item and its result in the items' order, while the next few are worked on.

    Args:
        pool: Who works.
        work: What is done with an item.
        items: Any number; read as they are needed.
        ahead: How many may be in work beside the one that is waited for.
    """
    waiting: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        waiting.append((item, pool.submit(work, item)))
        if len(waiting) > ahead:
            done, future = waiting.popleft()
            yield done, future.result()
    while waiting:
        done, future = waiting.popleft()
        yield done, future.result()


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


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Return a writer of predictions: texts are written by code, and readers see them as plain texts."""
    texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return pq.ParquetWriter(
        path, schema, store_schema=False, use_dictionary=[*texts, "generation"], write_statistics=["row", "generation"]
    )


def _concatenate(parts: list[str], output: Path) -> None:
    schema = pq.read_schema(parts[0])
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    coded = pa.schema([field.with_type(TEXT) if field.name in texts else field for field in schema])
    with replacing(output) as temporary, _writer(temporary, coded) as writer:
        for part in parts:
            with pq.ParquetFile(part, read_dictionary=texts) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))
