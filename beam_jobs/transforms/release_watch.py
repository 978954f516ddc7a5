"""The newest release's number, as a side input that follows the ledger."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
from apache_beam.transforms import trigger, window

from beam_jobs.transforms.ticks import Ticks
from modelfleet.releases.ledger import Ledger

REPEAT_EVERY = 20
"""Every so many ticks the newest number is emitted even if it is not new: a signal may be lost with a bundle."""


class _NewestGeneration(beam.DoFn):
    """Emits a generation number when a newer release lies in the ledger; names are listed, no file is read."""

    def __init__(self, releases: str, launch: int) -> None:
        self._releases = releases
        self._newest = launch
        self._ticks = 0

    def setup(self) -> None:
        self._ledger = Ledger(self._releases)

    def process(self, element: int) -> Iterator[int]:
        newest = self._ledger.newest()
        self._ticks += 1
        if newest > self._newest or self._ticks % REPEAT_EVERY == 1:
            self._newest = max(newest, self._newest)
            yield self._newest


class ReleaseWatch(beam.PTransform):
    """Emits the number of the newest release, starting with the launch release.

    The launch release is there from the start: a side input without its first value holds every request back until
    the first poll has gone round (25 s in one run). Every firing replaces the one before, so the side input holds
    one number.

    Args:
        releases: Folder of the ledger.
        launch: The newest generation when the job was submitted.
        poll_seconds: How often the ledger is looked at.
    """

    def __init__(self, releases: str, *, launch: int, poll_seconds: float) -> None:
        super().__init__()
        self._releases = releases
        self._launch = launch
        self._poll_seconds = poll_seconds

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[int]:
        """Apply to the pipeline itself."""
        seed = pbegin | "Launch release" >> beam.Create([self._launch])
        later = (
            pbegin
            | "Clock" >> Ticks(self._poll_seconds)
            | "Newest release" >> beam.ParDo(_NewestGeneration(self._releases, self._launch))
        )
        return (
            (seed, later)
            | "Seed and news" >> beam.Flatten()
            | "Each at once"
            >> beam.WindowInto(
                window.GlobalWindows(),
                trigger=trigger.Repeatedly(trigger.AfterCount(1)),
                accumulation_mode=trigger.AccumulationMode.DISCARDING,
            )
        )
