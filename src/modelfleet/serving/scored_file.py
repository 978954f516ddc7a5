"""The files that scoring leaves: their columns, how they are written, and how parts become one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.text import TEXT
from modelfleet.serving.score import prediction_schema
from modelfleet.spec.data import ColumnRole
from modelfleet.whole_file import replacing

if TYPE_CHECKING:
    from modelfleet.serving.loading import LoadedFleet
    from modelfleet.spec.data import DataSpec

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

    def moved_to(self, folder: Path) -> ScoredPiece:
        """Return the same, whose parts are in another folder now."""
        predictions, bad_rows = (str(folder / Path(part).name) for part in (self.predictions, self.bad_rows))
        return replace(self, predictions=predictions, bad_rows=bad_rows)


def row_id_column(data: DataSpec) -> str | None:
    """Return the column whose values are copied beside the predictions; None where there is none."""
    return next((name for name, c in (data.columns or {}).items() if c.role is ColumnRole.ROW_ID), None)


def output_schema(fleet: LoadedFleet, data: DataSpec) -> pa.Schema:
    """Return the columns of the output: the file, the row's position in it, its id if it has one, the prediction."""
    fields = [pa.field(FILE, TEXT), *prediction_schema(fleet)]
    if row_id_column(data) is not None:
        fields.insert(2, pa.field(ROW_ID, TEXT))
    return pa.schema(fields)


def bad_rows_path(output: Path) -> Path:
    """Return where the rows without a prediction go."""
    return output.with_name(f"{output.stem}_bad_rows.parquet")


def prediction_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    """Return a writer of predictions: texts are written by code, and readers see them as plain texts."""
    texts = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    return pq.ParquetWriter(
        path, schema, store_schema=False, use_dictionary=[*texts, "generation"], write_statistics=["row", "generation"]
    )


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


def _concatenate(parts: list[str], output: Path) -> None:
    schema = pq.read_schema(parts[0])
    texts = [field.name for field in schema if pa.types.is_string(field.type)]
    coded = pa.schema([field.with_type(TEXT) if field.name in texts else field for field in schema])
    with replacing(output) as temporary, prediction_writer(temporary, coded) as writer:
        for part in parts:
            with pq.ParquetFile(part, read_dictionary=texts) as file:
                for group in range(file.num_row_groups):
                    writer.write_table(file.read_row_group(group))
