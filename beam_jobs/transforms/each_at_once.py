"""The window of a side input that changes: each element takes the place of the one before, at once."""

from __future__ import annotations

from typing import Any

import apache_beam as beam
from apache_beam.transforms import trigger, window


class EachAtOnce(beam.PTransform):
    """Makes every element a pane of its own, so that a singleton side input is never two.

    Beam's ``WatchFilePattern`` gathers for a second before it fires. Two files in that second are one pane of two
    elements; read as a singleton it raises, the bundle is tried again from the same pane, and nothing is answered ever
    after. Put behind ``WatchFilePattern`` this takes the place of its trigger.
    """

    def expand(self, pcoll: beam.PCollection[Any]) -> beam.PCollection[Any]:
        """Apply to the elements that the side input is made of."""
        return pcoll | beam.WindowInto(
            window.GlobalWindows(),
            trigger=trigger.Repeatedly(trigger.AfterCount(1)),
            accumulation_mode=trigger.AccumulationMode.DISCARDING,
        )
