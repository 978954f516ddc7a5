"""Tells the process's resident fleet which release is newest, in passing, as requests go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from modelfleet.serving.resident import ResidentFleet, get_resident
from modelfleet.serving.resident_config import ResidentConfig

NAMESPACE = "modelfleet"


class SignalReader:
    """Reads the side input for a DoFn, once per bundle, and tells the process's resident fleet what is new in it.

    The DoFn calls ``setup`` and ``start_bundle`` in its own, and must ask for its window: that is what makes Beam read
    a globally windowed side input anew for every bundle. Otherwise it is cached for the life of the bundle processor,
    and no swap is ever seen.

    Args:
        config: Which resident fleet.
    """

    def __init__(self, config: ResidentConfig) -> None:
        self._config = config
        self._newest = 0
        self._look = True
        self._seen = Metrics.counter(NAMESPACE, "releases_seen")

    def setup(self) -> None:
        """Load the newest release before the first request: a side input restored from a checkpoint is old."""
        self._resident: ResidentFleet = get_resident(self._config)

    def start_bundle(self) -> None:
        """Look again at the next call of ``read``."""
        self._look = True

    def read(self, generations: Iterable[int]) -> None:
        """Look, if that has not been done in this bundle.

        Looking is a question to the runner, which costs more than an answer.

        Args:
            generations: The side input.
        """
        if not self._look:
            return
        self._look = False
        newest = max(generations, default=0)  # on drain the last pane is empty
        if newest > self._newest:
            self._newest = newest
            self._seen.inc()
            self._resident.notice(newest)


class _Signal(beam.DoFn):
    def __init__(self, reader: SignalReader) -> None:
        self._reader = reader

    def setup(self) -> None:
        self._reader.setup()

    def start_bundle(self) -> None:
        self._reader.start_bundle()

    def process(
        self, element: Any, generations: Iterable[int], current_window: Any = beam.DoFn.WindowParam
    ) -> Iterator[Any]:
        self._reader.read(generations)
        yield element


class ReleaseSignal(beam.PTransform):
    """Passes its input on unchanged, and every newer release number to the resident fleet.

    Fused before RunInference, so it runs in the process that predicts. A step that reads a side input begins a stage:
    what comes to it goes through the runner first, and waits for the end of a bundle on either side. A source that
    takes ``reader`` and ``side_input`` itself spares its requests that.

    Args:
        generations: What ``ReleaseWatch`` emits.
        config: Which resident fleet.
    """

    def __init__(self, generations: beam.PCollection[int], config: ResidentConfig) -> None:
        super().__init__()
        self._generations = generations
        self._config = config

    @property
    def side_input(self) -> beam.pvalue.AsIter:
        """What ``reader`` reads."""
        return beam.pvalue.AsIter(self._generations)

    def reader(self) -> SignalReader:
        """Return what a DoFn of a source holds to do this transform's work."""
        return SignalReader(self._config)

    def expand(self, pcoll: beam.PCollection[Any]) -> beam.PCollection[Any]:
        """Apply to the requests."""
        return pcoll | "Notice" >> beam.ParDo(_Signal(self.reader()), self.side_input)
