"""The pooled model: every shard draws its share of a sample, one worker fits it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import apache_beam as beam
from apache_beam.pvalue import AsIter

from modelfleet.training.job import TrainingJob
from modelfleet.training.pooled import PooledFit, fit_pooled, sample_shard


class DrawSample(beam.DoFn):
    """Shard numbers to (shard number, sampled rows)."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def setup(self) -> None:
        """Read the run's folder once per worker."""
        self._job = TrainingJob.load(self._folder)

    def process(self, shards: list[int]) -> Iterator[tuple[int, bytes]]:
        """Draw from each shard of a group."""
        for shard in shards:
            yield shard, sample_shard(self._job, shard)


class FitPooled(beam.DoFn):
    """All samples, a side input, to the one pooled model, or to the reason why there is none."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, _: bytes, samples: Iterable[tuple[int, bytes]]) -> Iterator[PooledFit | str]:
        """Fit on the samples in the order of the shards, so that the result does not depend on who was first."""
        yield fit_pooled(TrainingJob.load(self._folder), [sample for _, sample in sorted(samples)])


class PooledModel(beam.PTransform):
    """From groups of shard numbers to one element, what ``fit_pooled`` returns."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, groups: beam.PCollection) -> beam.PCollection:
        """Draw, then fit."""
        samples = groups | "Draw a sample of each shard" >> beam.ParDo(DrawSample(self._folder))
        return (
            groups.pipeline
            | "Once for the fleet" >> beam.Impulse()
            | "Fit the pooled model" >> beam.ParDo(FitPooled(self._folder), AsIter(samples))
        )
