"""The prepare pipeline: data files in; typed Parquet per shard, schema, profile and bad rows out."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam import pvalue

from beam_jobs.pipelines.hints import with_hint
from beam_jobs.transforms.shard_files import ResolveSchema, WriteShard, WriteSummary
from beam_jobs.transforms.typed_rows import FACTS, TypeRows, piece_tuple
from beam_jobs.transforms.whole_data import PrepareData
from modelfleet.data.batch import piece_groups
from modelfleet.data.plan import PreparePlan
from modelfleet.data.reading import Piece
from modelfleet.workplace import Workplace


def build_prepare(
    pipeline: beam.Pipeline, plan: PreparePlan, pieces: Sequence[Piece], place: Workplace
) -> beam.PCollection[str]:
    """Add the prepare step to a pipeline.

    Rows travel as whole Arrow tables per shard, so nothing is done row by row and nothing is pickled. On one machine
    they do not travel at all.

    Args:
        pipeline: Where to add it.
        plan: What to do with the rows.
        pieces: What to read; at least one.
        place: The run's folder; its folder of shards exists.

    Returns:
        One element, the folder, when everything is written.
    """
    if plan.spec.engine == "local":
        alone = PrepareData(plan, pieces, place.folder, plan.spec.worker_threads)
        return pipeline | "Start" >> beam.Impulse() | "Prepare the data" >> beam.ParDo(alone)
    groups = [[piece_tuple(piece) for piece in group] for group in piece_groups(pieces)]
    listed = pipeline | "List pieces" >> beam.Create(groups)
    if len(groups) > 1:
        listed |= "Spread pieces over workers" >> beam.Reshuffle()
    hinted = with_hint(plan.spec, plan.spec.resources.hints.prepare)
    typed = listed | "Type rows" >> hinted(beam.ParDo(TypeRows(plan, place)).with_outputs(FACTS, main="rows"))
    resolved = (
        typed[FACTS]
        | "Give facts one key" >> beam.Map(lambda facts: (b"", facts)).with_output_types(tuple[bytes, bytes])
        | "Gather facts" >> beam.GroupByKey()
        | "Resolve schema" >> beam.ParDo(ResolveSchema(plan))
    )
    profiles = (
        typed.rows
        | "Gather shards" >> beam.GroupByKey()
        | "Write shards" >> hinted(beam.ParDo(WriteShard(plan, place), pvalue.AsSingleton(resolved)))
    )
    return resolved | "Write summary" >> beam.ParDo(WriteSummary(plan, place), pvalue.AsList(profiles))
