"""The training pipeline: sample and fit the pooled model, train and evaluate every shard, finish the candidate."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.pvalue import AsIter

from beam_jobs.transforms.candidate import FinishCandidate
from beam_jobs.transforms.pooled_model import PooledModel
from beam_jobs.transforms.shard_training import TrainShards

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
    shards = sorted(job.shards)
    # Locally one element holds every shard, so that the thread pool always has work. Elsewhere an element is
    # what one worker gets, and its pool has as many shards as threads.
    size = len(shards) if job.run.spec.engine == "local" else threads
    groups = pipeline | "Groups of shards" >> beam.Create(
        [shards[start : start + size] for start in range(0, len(shards), size)], reshuffle=size < len(shards)
    )
    side = []
    if job.trains_pooled:
        side.append(AsIter(groups | "Pooled model" >> PooledModel(folder)))
    results = groups | "Train and evaluate" >> beam.ParDo(TrainShards(folder, threads), *side)
    _ = (
        pipeline
        | "Once all are trained" >> beam.Impulse()
        | "Finish the candidate" >> beam.ParDo(FinishCandidate(folder, time.time()), AsIter(results), *side)
    )
