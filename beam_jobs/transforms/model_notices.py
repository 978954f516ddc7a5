"""Notices of newer models as the side input of Beam's RunInference: the event mode of plain Beam."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import PurePosixPath

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs.handlers.beam_inference import ModelMetadata
from beam_jobs.transforms.each_at_once import EachAtOnce
from beam_jobs.transforms.release_signal import NAMESPACE

logger = logging.getLogger(__name__)


def model_of_notice(line: bytes) -> str | None:
    """Return what a notice names; None where the bytes are no notice.

    Args:
        line: ``{"model_id": "models/v7.joblib"}``, or the notice of a release, ``{"generation": 12, ...}``, which
            names the release.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    named = document.get("model_id", document.get("generation"))
    if isinstance(named, bool) or not isinstance(named, str | int):
        return None
    return str(named) or None


class _Read(beam.DoFn):
    def __init__(self) -> None:
        self._no_notice = Metrics.counter(NAMESPACE, "notices_unreadable")

    def process(self, element: bytes) -> Iterator[ModelMetadata]:
        model = model_of_notice(element)
        if model is None:  # a side input that raises stops every answer
            self._no_notice.inc()
            logger.warning("not a notice of a model, passed over: %r", element[:200])
            return
        yield ModelMetadata(model_id=model, model_name=PurePosixPath(model).stem)


class ModelNotices(beam.PTransform):
    """Turns lines, from whatever source, into the ``model_metadata_pcoll`` of RunInference.

    It begins with an empty name, for which every handler keeps the model it was made with: RunInference holds all
    requests back until its side input has fired once. Each notice then replaces the one before, in the order of
    arrival; ``FleetModelHandler`` takes only newer releases whatever the order, Beam's own handlers take every one.
    """

    def expand(self, pcoll: beam.PCollection[bytes]) -> beam.PCollection[ModelMetadata]:
        """Apply to the lines of the notices."""
        first = pcoll.pipeline | "Default model" >> beam.Create([ModelMetadata(model_id="", model_name="")])
        later = pcoll | "Read" >> beam.ParDo(_Read())
        return (first, later) | "Default and notices" >> beam.Flatten() | EachAtOnce()
