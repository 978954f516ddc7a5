"""Choosing among candidates: every shard tries them, one worker learns what the whole fleet says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsIter

from beam_jobs.transforms.shard_training import TryCandidates
from modelfleet.training.trial import Chosen, ShardTrial, choose
from modelfleet.workplace import Workplace


class Choose(beam.DoFn):
    """All trials, a side input, to what the fleet says about the candidates."""

    def process(self, _: bytes, trials: Iterable[ShardTrial]) -> Iterator[Chosen]:
        """Combine them."""
        yield choose(trials)


class ChooseCandidates(beam.PTransform):
    """From groups of shard numbers to one ``Chosen``: a few numbers per pair of candidates.

    Every entity's winner depends on it, so no shard can be settled before all have been tried.
    """

    def __init__(self, place: Workplace, threads: int, pooled: AsIter | None) -> None:
        """Say how to try.

        Args:
            place: The run's folder.
            threads: Shards tried at once by a worker.
            pooled: The pooled model as a side input; None where none is trained.
        """
        super().__init__()
        self._place = place
        self._threads = threads
        self._pooled = pooled

    def expand(self, groups: beam.PCollection) -> beam.PCollection:
        """Try, then choose."""
        side = {} if self._pooled is None else {"pooled": self._pooled}
        trials = groups | "Try the candidates" >> beam.ParDo(TryCandidates(self._place, self._threads), **side)
        return (
            groups.pipeline
            | "Once all are tried" >> beam.Impulse()
            | "Ask the fleet" >> beam.ParDo(Choose(), AsIter(trials))
        )
