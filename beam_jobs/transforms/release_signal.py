"""Tells the process's resident fleet which release is newest, in passing, as requests go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from modelfleet.serving.resident import ResidentFleet, get_resident
from modelfleet.serving.resident_config import ResidentConfig

NAMESPACE = "modelfleet"


class _Signal(beam.DoFn):
    def __init__(self, config: ResidentConfig) -> None:
        self._config = config
        self._newest = 0
        self._look = True
        self._seen = Metrics.counter(NAMESPACE, "releases_seen")

    def setup(self) -> None:
        # Loads the newest release before the first request: a side input restored from a checkpoint is old.
        self._resident: ResidentFleet = get_resident(self._config)

    def start_bundle(self) -> None:
        self._look = True

    def process(
        self,
        element: Any,
        generations: Iterable[int],
        # Asking for the window is what makes Beam read the side input anew for every bundle. Without it a globally
        # windowed side input is cached for the life of the bundle processor, and no swap is ever seen.
        current_window: Any = beam.DoFn.WindowParam,
    ) -> Iterator[Any]:
        if self._look:  # once per bundle: looking is a question to the runner, which costs more than an answer
            self._look = False
            newest = max(generations, default=0)  # on drain the last pane is empty
            if newest > self._newest:
                self._newest = newest
                self._seen.inc()
                self._resident.notice(newest)
        yield element


class ReleaseSignal(beam.PTransform):
    """Passes its input on unchanged, and every newer release number to the resident fleet.

    Fused before RunInference, so it runs in the process that predicts.

    Args:
        generations: What ``ReleaseWatch`` emits.
        config: Which resident fleet.
    """

    def __init__(self, generations: beam.PCollection[int], config: ResidentConfig) -> None:
        super().__init__()
        self._generations = generations
        self._config = config

    def expand(self, pcoll: beam.PCollection[Any]) -> beam.PCollection[Any]:
        """Apply to the requests."""
        return pcoll | "Notice" >> beam.ParDo(_Signal(self._config), beam.pvalue.AsIter(self._generations))
