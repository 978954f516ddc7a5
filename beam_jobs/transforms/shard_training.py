"""Training and evaluating groups of shards, several at once in a thread pool."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
from apache_beam.metrics import Metrics

from modelfleet.training.job import TrainingJob
from modelfleet.training.pooled import PooledFit
from modelfleet.training.shard import ShardResult, train_shard


class TrainShards(beam.DoFn):
    """Groups of shard numbers to one ``ShardResult`` per shard.

    Threads rather than processes: the kernels release the GIL, and forking a process that holds gRPC threads is
    not safe.
    """

    def __init__(self, folder: str, threads: int) -> None:
        self._folder = folder
        self._threads = threads
        self._models = Metrics.counter("modelfleet.train", "models")
        self._failures = Metrics.counter("modelfleet.train", "failures")

    def setup(self) -> None:
        """Read the run's folder once per worker."""
        self._job = TrainingJob.load(self._folder).ready()

    def process(self, shards: list[int], pooled: Iterable[PooledFit | str] = ()) -> Iterator[ShardResult]:
        """Train a group of shards."""
        model = next((fit.model for fit in pooled if isinstance(fit, PooledFit)), None)
        with ThreadPoolExecutor(self._threads, thread_name_prefix="shard") as pool:
            for result in pool.map(lambda shard: train_shard(self._job, shard, model), shards):
                self._models.inc(0 if result.file is None else result.file.rows)
                self._failures.inc(len(result.failures))
                yield result
