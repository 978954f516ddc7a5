"""Reading pieces of data files into typed rows per shard, column by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import apache_beam as beam
from apache_beam import pvalue

from modelfleet.data.batch import typed_batches
from modelfleet.data.facts import Facts
from modelfleet.data.files import DataFile
from modelfleet.data.plan import PreparePlan
from modelfleet.data.reading import Piece
from modelfleet.errors import DataError
from modelfleet.workplace import Workplace

PieceTuple = tuple[str, str, int | None, int]
"""A piece as plain values, which Beam encodes without pickle: path, format, row group, rows before it."""

FACTS = "facts"
"""Tag of the output with what was counted, as JSON."""


def piece_tuple(piece: Piece) -> PieceTuple:
    """Return a piece as plain values."""
    return (piece.file.path, piece.file.format, piece.row_group, piece.first_row)


class RowCounters:
    """Counts rows in the job's metrics."""

    def __init__(self) -> None:
        self._rows_read = beam.metrics.Metrics.counter("prepare", "rows_read")
        self._rows_bad = beam.metrics.Metrics.counter("prepare", "rows_bad")

    def add(self, facts: Facts) -> None:
        """Count the rows of a batch."""
        self._rows_read.inc(facts.rows_read)
        self._rows_bad.inc(facts.rows_bad)


class TypeRows(beam.DoFn):
    """Reads a group of pieces at a time.

    Outputs: (shard, Arrow IPC bytes of its rows), and under ``FACTS`` one JSON document per batch.
    """

    def __init__(self, plan: PreparePlan, place: Workplace) -> None:
        # Ten thousand chosen entities are sent once per worker, files and their names are not needed there
        self._plan = replace(plan, files=())
        self._place = place
        self._count = RowCounters()

    def process(self, element: Sequence[PieceTuple]) -> Iterator[object]:
        """Yield the pieces' rows by shard."""
        try:
            for batch, facts in typed_batches(self._plan, map(self._piece, element)):
                self._count.add(facts)
                if batch is not None:
                    yield from batch.parts()
                yield pvalue.TaggedOutput(FACTS, facts.to_json())
        except DataError as error:
            # The user's file is at fault: no worker would do better on a second try, so the job ends with the reason
            yield pvalue.TaggedOutput(FACTS, Facts(error=str(error)).to_json())

    def _piece(self, values: PieceTuple) -> Piece:
        path, kind, row_group, first_row = values
        file = DataFile(path, "csv" if kind == "csv" else "parquet" if kind == "parquet" else "jsonl")
        return Piece(self._place.input(file), row_group, first_row)
