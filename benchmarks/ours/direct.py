"""Prepare and train called directly, without Beam: what Beam's overhead is measured against."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from modelfleet.data.arrow_stream import from_bytes
from modelfleet.data.chunk import by_shard, type_chunk
from modelfleet.data.facts import Facts, merge_facts
from modelfleet.data.plan import make_plan
from modelfleet.data.prepared import SHARDS, clear_results, write_results
from modelfleet.data.reading import pieces_of, read_piece
from modelfleet.data.resolve import resolve_schema
from modelfleet.data.shard import assemble_shard, champion_thresholds, write_shard
from modelfleet.run import Run
from modelfleet.training.finish import finish
from modelfleet.training.job import TrainingJob
from modelfleet.training.pooled import PooledFit, fit_pooled, sample_shard
from modelfleet.training.shard import train_shard


def prepare_directly(run: Run) -> None:
    """Do what ``beam_jobs.prepare`` does, piece by piece in this thread."""
    champion = run.champion()
    index = None if champion is None else str(champion.path / champion.manifest.index.path)
    plan = make_plan(run.spec, entities=run.entities, champion_index=index)
    clear_results(run.folder)
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


def train_directly(run: Run) -> None:
    """Do what ``beam_jobs.train`` does, in a pool of as many threads."""
    began = time.time()
    job = TrainingJob.load(run.folder).ready()
    job.check_entities()
    shards = sorted(job.shards)
    with ThreadPoolExecutor(run.spec.resources.threads or os.cpu_count() or 1) as pool:
        pooled = None
        if job.trains_pooled:
            pooled = fit_pooled(job, list(pool.map(lambda shard: sample_shard(job, shard), shards)))
        model = pooled.model if isinstance(pooled, PooledFit) else None
        results = list(pool.map(lambda shard: train_shard(job, shard, model), shards))
    finish(job, results, pooled, began)
