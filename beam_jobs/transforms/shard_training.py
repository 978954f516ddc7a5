"""Training and evaluating groups of shards, several at once in a thread pool."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import apache_beam as beam
from apache_beam.metrics import Metrics

from modelfleet.training.job import TrainingJob
from modelfleet.training.pooled import PooledFit
from modelfleet.training.shard import ShardResult
from modelfleet.training.trial import Chosen, ShardTrial, try_shard
from modelfleet.training.winners import finished_shard

Done = TypeVar("Done")


class _PerShard(beam.DoFn):
    """Does something with every shard of a group.

    Threads rather than processes: the kernels release the GIL, and forking a process that holds gRPC threads is
    not safe.
    """

    def __init__(self, folder: str, threads: int) -> None:
        self._folder = folder
        self._threads = threads

    def setup(self) -> None:
        """Read the run's folder once per worker."""
        self._job = TrainingJob.load(self._folder).ready()

    def _each(self, work: Callable[[int], Done], shards: list[int]) -> Iterator[Done]:
        with ThreadPoolExecutor(self._threads, thread_name_prefix="shard") as pool:
            yield from pool.map(work, shards)


class TryCandidates(_PerShard):
    """Groups of shard numbers to one ``ShardTrial`` per shard."""

    def process(self, shards: list[int], pooled: Iterable[PooledFit | str] = ()) -> Iterator[ShardTrial]:
        """Fit and validate every candidate of a group of shards."""
        model = pooled_model(pooled)
        yield from self._each(lambda shard: try_shard(self._job, shard, model), shards)


class TrainShards(_PerShard):
    """Groups of shard numbers to one ``ShardResult`` per shard."""

    def __init__(self, folder: str, threads: int) -> None:
        super().__init__(folder, threads)
        self._models = Metrics.counter("modelfleet.train", "models")
        self._failures = Metrics.counter("modelfleet.train", "failures")

    def process(
        self, shards: list[int], pooled: Iterable[PooledFit | str] = (), chosen: Iterable[Chosen] = ()
    ) -> Iterator[ShardResult]:
        """Train a group of shards, or settle what was tried where there were candidates to choose from."""
        model, fleet = pooled_model(pooled), next(iter(chosen), None)
        for result in self._each(lambda shard: finished_shard(self._job, shard, lambda: model, fleet), shards):
            self._models.inc(result.models)
            self._failures.inc(len(result.failures))
            yield result


def pooled_model(pooled: Iterable[PooledFit | str]) -> bytes | None:
    """Return the pooled model of a side input; None where there is none."""
    return next((fit.model for fit in pooled if isinstance(fit, PooledFit)), None)
