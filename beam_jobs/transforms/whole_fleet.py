"""Training a whole fleet on one worker, where there is nothing to exchange between workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam

from modelfleet.data.prepared import SHARDS
from modelfleet.training.finish import finish
from modelfleet.training.job import FACTS_OF_A_RUN, TrainingJob
from modelfleet.training.pooled import PooledFit, fit_pooled, sample_shard
from modelfleet.training.trial import choose, try_shard
from modelfleet.training.winners import finished_shard
from modelfleet.workplace import Workplace


class TrainFleet(beam.DoFn):
    """One element to the finished candidate: the work of the other transforms of this step, in one stage.

    Passing samples and results between stages costs Beam more than a small fleet takes to train.
    """

    def __init__(self, place: Workplace, threads: int, began: float) -> None:
        self._place = place
        self._threads = threads
        self._began = began

    def process(self, _: bytes) -> None:
        """Sample, fit the pooled model, choose among candidates if there are any, evaluate every shard, finish."""
        with self._place.opened(*FACTS_OF_A_RUN, f"{SHARDS}/*") as folder:
            self._train(TrainingJob.load(folder, alone=True).ready())

    def _train(self, job: TrainingJob) -> None:
        in_order = sorted(job.shards)
        largest_first = sorted(in_order, key=lambda shard: -job.shards[shard].stat().st_size)  # none is left for last
        with ThreadPoolExecutor(self._threads, thread_name_prefix="shard") as pool:
            fitting = None
            if job.trains_pooled:
                samples = list(pool.map(lambda shard: sample_shard(job, shard), in_order))
                fitting = pool.submit(fit_pooled, job, samples)  # beside the first shards, not before them

            def model() -> bytes | None:
                pooled = None if fitting is None else fitting.result()
                return pooled.model if isinstance(pooled, PooledFit) else None

            chosen = None
            if job.choosing:
                chosen = choose(list(pool.map(lambda shard: try_shard(job, shard, model()), largest_first)))
            results = list(pool.map(lambda shard: finished_shard(job, shard, model, chosen), largest_first))
        finish(job, results, None if fitting is None else fitting.result(), self._began, chosen)
