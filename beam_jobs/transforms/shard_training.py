"""Training and evaluating groups of shards, several at once in a thread pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import apache_beam as beam
from apache_beam.metrics import Metrics

from modelfleet.training.job import FACTS_OF_A_RUN, TrainingJob, shard_names
from modelfleet.training.pooled import PooledFit
from modelfleet.training.shard import ShardResult
from modelfleet.training.trial import Chosen, ShardTrial, fitted_names, try_shard
from modelfleet.training.winners import finished_shard
from modelfleet.workplace import Workplace

Done = TypeVar("Done")


class _PerShard(beam.DoFn):
    """Does something with every shard of a group.

    Threads rather than processes: the kernels release the GIL, and forking a process that holds gRPC threads is
    not safe.
    """

    def __init__(self, place: Workplace, threads: int) -> None:
        self._place = place
        self._threads = threads
        self._ready: TrainingJob | None = None

    def _each(self, work: Callable[[TrainingJob, int], Done], shards: list[int]) -> Iterator[Done]:
        with (
            self._place.opened(*FACTS_OF_A_RUN, *shard_names(shards), *map(fitted_names, shards)) as folder,
            ThreadPoolExecutor(self._threads, thread_name_prefix="shard") as pool,
        ):
            yield from pool.map(partial(work, self._job(folder)), shards)

    def _job(self, folder: Path) -> TrainingJob:
        """Return what is known of the run, read once per worker; where shards are copied here, with those there now."""
        if self._ready is None or self._place.url is not None:
            self._ready = TrainingJob.load(folder).ready()
        return self._ready


class TryCandidates(_PerShard):
    """Groups of shard numbers to one ``ShardTrial`` per shard."""

    def process(self, shards: list[int], pooled: Iterable[PooledFit | str] = ()) -> Iterator[ShardTrial]:
        """Fit and validate every candidate of a group of shards."""
        model = pooled_model(pooled)
        yield from self._each(lambda job, shard: try_shard(job, shard, model), shards)


class TrainShards(_PerShard):
    """Groups of shard numbers to one ``ShardResult`` per shard."""

    def __init__(self, place: Workplace, threads: int) -> None:
        super().__init__(place, threads)
        self._models = Metrics.counter("modelfleet.train", "models")
        self._failures = Metrics.counter("modelfleet.train", "failures")

    def process(
        self, shards: list[int], pooled: Iterable[PooledFit | str] = (), chosen: Iterable[Chosen] = ()
    ) -> Iterator[ShardResult]:
        """Train a group of shards, or settle what was tried where there were candidates to choose from."""
        model, fleet = pooled_model(pooled), next(iter(chosen), None)
        for result in self._each(lambda job, shard: finished_shard(job, shard, lambda: model, fleet), shards):
            self._models.inc(result.models)
            self._failures.inc(len(result.failures))
            yield result


def pooled_model(pooled: Iterable[PooledFit | str]) -> bytes | None:
    """Return the pooled model of a side input; None where there is none."""
    return next((fit.model for fit in pooled if isinstance(fit, PooledFit)), None)
