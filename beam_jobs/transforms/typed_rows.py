"""Reading pieces of data files into typed rows per shard, column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import apache_beam as beam
from apache_beam import pvalue

from modelfleet.data.chunk import by_shard, type_chunk
from modelfleet.data.facts import Facts
from modelfleet.data.files import DataFile
from modelfleet.data.plan import PreparePlan
from modelfleet.data.reading import Piece, read_piece
from modelfleet.errors import DataError

PieceTuple = tuple[str, str, int | None, int]
"""A piece as plain values, which Beam encodes without pickle: path, format, row group, rows before it."""

FACTS = "facts"
"""Tag of the output with what was counted, as JSON."""


def piece_tuple(piece: Piece) -> PieceTuple:
    """Return a piece as plain values."""
    return (piece.file.path, piece.file.format, piece.row_group, piece.first_row)


class TypeRows(beam.DoFn):
    """Reads one piece at a time.

    Outputs: (shard, Arrow IPC bytes of its rows), and under ``FACTS`` one JSON document per chunk.
    """

    def __init__(self, plan: PreparePlan) -> None:
        # Ten thousand chosen entities are sent once per worker, files and their names are not needed there
        self._plan = replace(plan, files=())
        self._rows_read = beam.metrics.Metrics.counter("prepare", "rows_read")
        self._rows_bad = beam.metrics.Metrics.counter("prepare", "rows_bad")

    def process(self, element: PieceTuple) -> Iterator[object]:
        """Yield a piece's rows by shard."""
        path, kind, row_group, first_row = element
        piece = Piece(
            DataFile(path, "csv" if kind == "csv" else "parquet" if kind == "parquet" else "jsonl"),
            row_group,
            first_row,
        )
        try:
            for chunk in read_piece(piece, self._plan.spec.data):
                rows, facts = type_chunk(self._plan, chunk)
                self._rows_read.inc(facts.rows_read)
                self._rows_bad.inc(facts.rows_bad)
                yield from by_shard(rows, self._plan.spec.resources.shards)
                yield pvalue.TaggedOutput(FACTS, facts.to_json())
        except DataError as error:
            # The user's file is at fault: no worker would do better on a second try, so the job ends with the reason
            yield pvalue.TaggedOutput(FACTS, Facts(error=str(error)).to_json())
