"""The first rows of a data set, for looking at what its columns are."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from modelfleet.data.detection import is_number
from modelfleet.data.files import find_files
from modelfleet.data.rawchunk import LINE
from modelfleet.data.reading import pieces_of, read_piece
from modelfleet.data.text import as_text
from modelfleet.errors import DataError
from modelfleet.spec.data import DataSpec

SAMPLE_ROWS = 200_000
"""Rows looked at; a value further on that does not fit its column's type becomes a bad row."""


def read_sample(source: str | Path | DataSpec, *, target: str = "", rows: int = SAMPLE_ROWS) -> pa.Table:
    """Return the first rows of a data set, every column as it is read.

    Args:
        source: A path or glob, or a spec's data section where delimiter, header or format matter.
        target: Only for messages, where ``source`` is a path.
        rows: Most rows returned.

    Raises:
        DataError: A file is missing, empty or not what it says.
    """
    data = source if isinstance(source, DataSpec) else DataSpec(source=str(source), target=target or "target")
    tables: list[pa.Table] = []
    left = rows
    for file in find_files(data):
        for piece in pieces_of(file):
            for chunk in read_piece(piece, data):
                table = chunk.table.drop_columns([LINE]) if LINE in chunk.table.column_names else chunk.table
                # Dictionaries of different pieces differ; texts do not
                texts = pa.table({name: as_text(table[name]).cast(pa.string()) for name in table.column_names})
                keep = _keep_types(table, texts).slice(0, left)
                tables.append(keep)
                left -= len(keep)
                if left <= 0:
                    return pa.concat_tables(tables, promote_options="permissive")
    if not tables:
        raise DataError(f"{data.source}: holds no rows")
    return pa.concat_tables(tables, promote_options="permissive")


def _keep_types(table: pa.Table, texts: pa.Table) -> pa.Table:
    """Return texts, but dates, booleans and numbers with the types the file gives them."""
    for i, field in enumerate(table.schema):
        if pa.types.is_temporal(field.type) or pa.types.is_boolean(field.type) or is_number(field.type):
            texts = texts.set_column(i, field.name, table[field.name])
    return texts
