"""The training pipeline: fit the pooled model, choose among candidates, train and evaluate every shard, finish."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.pvalue import AsIter

from beam_jobs.transforms.candidate import FinishCandidate
from beam_jobs.transforms.choosing import ChooseCandidates
from beam_jobs.transforms.pooled_model import PooledModel
from beam_jobs.transforms.shard_training import TrainShards
from beam_jobs.transforms.whole_fleet import TrainFleet

if TYPE_CHECKING:
    from modelfleet.training.job import TrainingJob


def build_train(pipeline: beam.Pipeline, job: TrainingJob) -> None:
    """Add the training step of a run to a pipeline.

    Args:
        pipeline: Empty.
        job: The training step.
    """
    folder = str(job.run.folder)
    resources = job.run.spec.resources
    threads = resources.threads or os.cpu_count() or 1
    began = time.time()
    shards = sorted(job.shards)
    if job.run.spec.engine == "local" or len(shards) <= threads:
        _ = pipeline | "Start" >> beam.Impulse() | "Train the fleet" >> beam.ParDo(TrainFleet(folder, threads, began))
        return
    groups = [shards[start : start + threads] for start in range(0, len(shards), threads)]
    spread = (
        pipeline
        | "Start" >> beam.Impulse()
        | "Groups of shards" >> beam.FlatMap(lambda _: groups)
        | "Spread over the workers" >> beam.Reshuffle()
    )
    side: dict[str, AsIter] = {}
    if job.trains_pooled:
        side["pooled"] = AsIter(spread | "Pooled model" >> PooledModel(folder))
    if job.choosing:
        side["chosen"] = AsIter(spread | "Candidates" >> ChooseCandidates(folder, threads, side.get("pooled")))
    results = spread | "Train and evaluate" >> beam.ParDo(TrainShards(folder, threads), **side)
    _ = (
        pipeline
        | "Once all are trained" >> beam.Impulse()
        | "Finish the candidate" >> beam.ParDo(FinishCandidate(folder, began), AsIter(results), **side)
    )
