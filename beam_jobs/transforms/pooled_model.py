"""The pooled model: every shard draws its share of a sample, one worker fits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsIter

from modelfleet.training.job import FACTS_OF_A_RUN, TrainingJob, shard_names
from modelfleet.training.pooled import PooledFit, fit_pooled, sample_shard
from modelfleet.workplace import Workplace


class DrawSample(beam.DoFn):
    """Shard numbers to (shard number, sampled rows)."""

    def __init__(self, place: Workplace) -> None:
        self._place = place
        self._job: TrainingJob | None = None

    def process(self, shards: list[int]) -> Iterator[tuple[int, bytes]]:
        """Draw from each shard of a group."""
        with self._place.opened(*FACTS_OF_A_RUN, *shard_names(shards)) as folder:
            if self._job is None or self._place.url is not None:  # copied shards: those that are here now
                self._job = TrainingJob.load(folder)
            for shard in shards:
                yield shard, sample_shard(self._job, shard)


class FitPooled(beam.DoFn):
    """All samples, a side input, to the one pooled model, or to the reason why there is none."""

    def __init__(self, place: Workplace) -> None:
        self._place = place

    def process(self, _: bytes, samples: Iterable[tuple[int, bytes]]) -> Iterator[PooledFit | str]:
        """Fit on the samples in the order of the shards, so that the result does not depend on who was first."""
        with self._place.opened(*FACTS_OF_A_RUN) as folder:
            yield fit_pooled(TrainingJob.load(folder), [sample for _, sample in sorted(samples)])


class PooledModel(beam.PTransform):
    """From groups of shard numbers to one element, what ``fit_pooled`` returns."""

    def __init__(self, place: Workplace) -> None:
        super().__init__()
        self._place = place

    def expand(self, groups: beam.PCollection) -> beam.PCollection:
        """Draw, then fit."""
        samples = groups | "Draw a sample of each shard" >> beam.ParDo(DrawSample(self._place))
        return (
            groups.pipeline
            | "Once for the fleet" >> beam.Impulse()
            | "Fit the pooled model" >> beam.ParDo(FitPooled(self._place), AsIter(samples))
        )
