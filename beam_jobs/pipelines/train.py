"""The training pipeline: fit the pooled model, choose among candidates, train and evaluate every shard, finish."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import apache_beam as beam
from apache_beam.pvalue import AsIter

from beam_jobs.pipelines.hints import with_hint
from beam_jobs.transforms.candidate import FinishCandidate
from beam_jobs.transforms.choosing import ChooseCandidates
from beam_jobs.transforms.pooled_model import PooledModel
from beam_jobs.transforms.shard_training import TrainShards
from beam_jobs.transforms.whole_fleet import TrainFleet

if TYPE_CHECKING:
    from modelfleet.training.job import TrainingJob
    from modelfleet.workplace import Workplace


def build_train(pipeline: beam.Pipeline, job: TrainingJob, place: Workplace) -> None:
    """Add the training step of a run to a pipeline.

    Args:
        pipeline: Empty.
        job: The training step.
        place: The run's folder.
    """
    threads = job.run.spec.worker_threads
    hints = job.run.spec.resources.hints
    on_train, on_pooled = with_hint(job.run.spec, hints.train), with_hint(job.run.spec, hints.pooled)
    began = time.time()
    shards = sorted(job.shards)
    if job.run.spec.engine == "local" or len(shards) <= threads:
        _ = (
            pipeline
            | "Start" >> beam.Impulse()
            | "Train the fleet" >> on_train(beam.ParDo(TrainFleet(place, threads, began)))
        )
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
        side["pooled"] = AsIter(spread | "Pooled model" >> on_pooled(PooledModel(place)))
    if job.choosing:
        side["chosen"] = AsIter(spread | "Candidates" >> on_train(ChooseCandidates(place, threads, side.get("pooled"))))
    results = spread | "Train and evaluate" >> on_train(beam.ParDo(TrainShards(place, threads), **side))
    _ = (
        pipeline
        | "Once all are trained" >> beam.Impulse()
        | "Finish the candidate" >> beam.ParDo(FinishCandidate(place, began), AsIter(results), **side)
    )
