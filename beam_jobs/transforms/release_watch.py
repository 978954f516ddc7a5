"""The newest release's number, as a side input that follows the ledger."""

from __future__ import annotations

import time
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs.transforms.each_at_once import EachAtOnce
from beam_jobs.transforms.release_signal import NAMESPACE
from beam_jobs.transforms.ticks import Ticks
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.notice import parse_notice
from modelfleet.releases.notifier import Listener, make_listener
from modelfleet.spec.notices import Notices

REPEAT_EVERY = 20
"""Every so many ticks the newest number is emitted even if it is not new: a signal may be lost with a bundle."""


SOON_SECONDS = 5.0
"""For so long after a notice of a release that is not there yet, every tick looks: a folder may lag behind it."""

TICK_SECONDS = 0.2
"""How often notices are taken, where there are any."""


class _NewestGeneration(beam.DoFn):
    """Emits a generation number when a newer release lies in the ledger; names are listed, no file is read.

    A notice is a reason to look at once. Nothing but what lies in the ledger is emitted, so older, repeated, false and
    unreadable notices change nothing.
    """

    def __init__(self, releases: str, launch: int, poll_seconds: float, notices: Notices | None) -> None:
        self._releases = releases
        self._newest = launch
        self._poll_seconds = poll_seconds
        self._notices = notices
        self._listener: Listener | None = None
        self._told = 0
        self._looks = 0
        self._look_at = self._soon_until = 0.0
        self._heard = Metrics.counter(NAMESPACE, "notices_heard")

    def setup(self) -> None:
        self._ledger = Ledger(self._releases)
        self._listener = None if self._notices is None else make_listener(self._notices)

    def teardown(self) -> None:
        if self._listener is not None:
            self._listener.close()

    def process(self, element: int) -> Iterator[int]:
        now = time.monotonic()
        if self._is_told():
            self._soon_until = now + SOON_SECONDS
        soon = self._told > self._newest and now < self._soon_until
        if not soon and now < self._look_at:
            return
        self._look_at = now + self._poll_seconds
        newest = self._ledger.newest()
        self._looks += 1
        if newest > self._newest or self._looks % REPEAT_EVERY == 1:
            self._newest = max(newest, self._newest)
            yield self._newest

    def _is_told(self) -> bool:
        """Return whether a notice came of a newer release than any before."""
        fleet, before = self._ledger.fleet, max(self._told, self._newest)
        for data in () if self._listener is None else self._listener.heard():
            notice = parse_notice(data)
            self._heard.inc()
            if notice is not None and notice.fleet == fleet:
                self._told = max(self._told, notice.generation)
        return self._told > before


class ReleaseWatch(beam.PTransform):
    """Emits the number of the newest release, starting with the launch release.

    The launch release is there from the start: a side input without its first value holds every request back until
    the first poll has gone round (25 s in one run). Every firing replaces the one before, so the side input holds
    one number.

    Notices are taken by the same clock that looks at the ledger, so the graph is the same with and without them: a
    running job may go from one way of updating to the other and keep its checkpoint.

    Args:
        releases: Folder of the ledger.
        launch: The newest generation when the job was submitted.
        poll_seconds: How often the ledger is looked at.
        notices: What to listen to besides; None means nothing.
    """

    def __init__(self, releases: str, *, launch: int, poll_seconds: float, notices: Notices | None = None) -> None:
        super().__init__()
        self._releases = releases
        self._launch = launch
        self._poll_seconds = poll_seconds
        self._notices = notices

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[int]:
        """Apply to the pipeline itself."""
        # Looks a little before the clock's next tick is due, so that it never waits for the one after
        newest = _NewestGeneration(self._releases, self._launch, 0.9 * self._poll_seconds, self._notices)
        seed = pbegin | "Launch release" >> beam.Create([self._launch])
        later = (
            pbegin
            | "Clock" >> Ticks(self._poll_seconds if self._notices is None else min(self._poll_seconds, TICK_SECONDS))
            | "Newest release" >> beam.ParDo(newest)
        )
        return (seed, later) | "Seed and news" >> beam.Flatten() | "Each at once" >> EachAtOnce()
