"""An unbounded stream that ticks at an interval and never catches up on what it missed.

Beam's own ``PeriodicImpulse`` replays every tick since its start after a pause or a restore (1,208 of them in one
second after ten minutes away), and each would list a folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.utils.timestamp import Duration, Timestamp

ENDLESS = 2**62


class _Endless(RestrictionProvider):
    def initial_restriction(self, element: bytes) -> OffsetRange:
        return OffsetRange(0, ENDLESS)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: bytes, restriction: OffsetRange) -> int:
        return 1

    def split(self, element: bytes, restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction  # one clock is one clock

    def truncate(self, element: bytes, restriction: OffsetRange) -> None:
        return None  # on drain: stop ticking


class _Tick(beam.DoFn):
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: bytes,
        tracker: Any = beam.DoFn.RestrictionParam(_Endless()),
        watermark: Any = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider()),
    ) -> Iterator[int]:
        number = tracker.current_restriction().start
        if not tracker.try_claim(number):
            return
        now = Timestamp.now()
        current = watermark.current_watermark()
        if current is None or now > current:  # a clock set back must not make it fall: that raises
            watermark.set_watermark(now)
        yield number
        tracker.defer_remainder(Duration(seconds=self._seconds))


class Ticks(beam.PTransform):
    """Emits 0, 1, 2, ... at the processing-time interval, the first at once.

    Args:
        seconds: Time between two ticks.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[int]:
        """Apply to the pipeline itself."""
        return pbegin | "Start" >> beam.Impulse() | "Tick" >> beam.ParDo(_Tick(self._seconds))
