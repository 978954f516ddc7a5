"""The steps prepare and score piece by piece in one thread, for a modelfleet that has no way of its own to do so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.data.arrow_stream import from_bytes
from modelfleet.data.chunk import by_shard, type_chunk
from modelfleet.data.facts import Facts, merge_facts
from modelfleet.data.prepared import SHARDS, write_results
from modelfleet.data.reading import Piece, pieces_of, read_piece
from modelfleet.data.resolve import resolve_schema
from modelfleet.data.shard import assemble_shard, champion_thresholds, write_shard
from modelfleet.run import Run
from modelfleet.serving.score_piece import join_parts, score_piece

if TYPE_CHECKING:
    from modelfleet.data.plan import PreparePlan
    from modelfleet.serving.loading import LoadedFleet
    from modelfleet.spec.data import DataSpec


def prepare_pieces(run: Run, plan: PreparePlan) -> None:
    """Prepare a run's data."""
    counted: list[Facts] = []
    parts: dict[int, list[bytes]] = defaultdict(list)
    for file in plan.files:
        for piece in pieces_of(file):
            for chunk in read_piece(piece, run.spec.data):
                rows, facts = type_chunk(plan, chunk)
                counted.append(facts)
                for shard, part in by_shard(rows, run.spec.resources.shards):
                    parts[shard].append(part)
    merged = merge_facts(counted)
    schema, capped = resolve_schema(plan, merged)
    thresholds = champion_thresholds(plan.champion_index, plan.split_fingerprint)
    profiles = []
    for shard, encoded in parts.items():
        prepared, profile = assemble_shard(
            (from_bytes(part) for part in encoded),
            shard=shard,
            schema=schema,
            split=run.spec.split,
            thresholds=thresholds,
        )
        write_shard(run.folder / SHARDS, shard, prepared)
        profiles.append(profile)
    write_results(run.folder, plan=plan, schema=schema, capped=capped, facts=merged, profiles=profiles)


def score_pieces(fleet: LoadedFleet, pieces: Sequence[Piece], data: DataSpec, output: Path) -> None:
    """Score pieces of files into one output."""
    parts = output.with_name("parts")
    parts.mkdir()
    join_parts([score_piece(fleet, piece, data, parts, number) for number, piece in enumerate(pieces)], output)
