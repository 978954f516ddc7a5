"""The prepare pipeline: data files in; typed Parquet per shard, schema, profile and bad rows out."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam import pvalue

from beam_jobs.transforms.shard_files import ResolveSchema, WriteShard, WriteSummary
from beam_jobs.transforms.typed_rows import FACTS, TypeRows, piece_tuple
from modelfleet.data.plan import PreparePlan
from modelfleet.data.reading import Piece


def build_prepare(
    pipeline: beam.Pipeline, plan: PreparePlan, pieces: Sequence[Piece], folder: str
) -> beam.PCollection[str]:
    """Add the prepare step to a pipeline.

    Rows travel as whole Arrow tables per shard, so nothing is done row by row and nothing is pickled.

    Args:
        pipeline: Where to add it.
        plan: What to do with the rows.
        pieces: What to read; at least one.
        folder: The run's folder; its folder of shards exists.

    Returns:
        One element, the folder, when everything is written.
    """
    listed = pipeline | "List pieces" >> beam.Create([piece_tuple(piece) for piece in pieces])
    if len(pieces) > 1:
        listed |= "Spread pieces over workers" >> beam.Reshuffle()
    typed = listed | "Type rows" >> beam.ParDo(TypeRows(plan)).with_outputs(FACTS, main="rows")
    resolved = (
        typed[FACTS]
        | "Give facts one key" >> beam.Map(lambda facts: (b"", facts)).with_output_types(tuple[bytes, bytes])
        | "Gather facts" >> beam.GroupByKey()
        | "Resolve schema" >> beam.ParDo(ResolveSchema(plan))
    )
    profiles = (
        typed.rows
        | "Gather shards" >> beam.GroupByKey()
        | "Write shards" >> beam.ParDo(WriteShard(plan, folder), pvalue.AsSingleton(resolved))
    )
    return resolved | "Write summary" >> beam.ParDo(WriteSummary(plan, folder), pvalue.AsList(profiles))
