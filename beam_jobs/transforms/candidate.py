"""Finishing the candidate, once every shard is trained."""

from __future__ import annotations

from collections.abc import Iterable

import apache_beam as beam

from modelfleet.training.finish import finish
from modelfleet.training.job import FACTS_OF_A_RUN, TrainingJob
from modelfleet.training.pooled import PooledFit
from modelfleet.training.shard import ShardResult
from modelfleet.training.trial import Chosen
from modelfleet.workplace import Workplace


class FinishCandidate(beam.DoFn):
    """All results, side inputs, to the candidate's manifest, the evaluation table and train.json."""

    def __init__(self, place: Workplace, began: float) -> None:
        self._place = place
        self._began = began

    def process(
        self,
        _: bytes,
        results: Iterable[ShardResult],
        pooled: Iterable[PooledFit | str] = (),
        chosen: Iterable[Chosen] = (),
    ) -> None:
        """Write them; doing it again writes the same."""
        with self._place.opened(*FACTS_OF_A_RUN) as folder:
            job = TrainingJob.load(folder)
            finish(job, list(results), next(iter(pooled), None), self._began, next(iter(chosen), None))
