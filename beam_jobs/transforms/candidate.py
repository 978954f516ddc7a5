"""Finishing the candidate, once every shard is trained."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from modelfleet.training.finish import finish
from modelfleet.training.job import TrainingJob
from modelfleet.training.pooled import PooledFit
from modelfleet.training.shard import ShardResult
from modelfleet.training.trial import Chosen


class FinishCandidate(beam.DoFn):
    """All results, side inputs, to the candidate's manifest, the evaluation table and train.json."""

    def __init__(self, folder: str, began: float) -> None:
        self._folder = folder
        self._began = began

    def process(
        self,
        _: bytes,
        results: Iterable[ShardResult],
        pooled: Iterable[PooledFit | str] = (),
        chosen: Iterable[Chosen] = (),
    ) -> None:
        """Write them; doing it again writes the same."""
        job = TrainingJob.load(self._folder)
        finish(job, list(results), next(iter(pooled), None), self._began, next(iter(chosen), None))
