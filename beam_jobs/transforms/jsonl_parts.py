"""JSONL files that are never seen half-written."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs.transforms.release_signal import NAMESPACE
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk_answer import AnyAnswer

ABANDONED_SECONDS = 3600


class _WriteParts(beam.DoFn):
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lines: list[str] = []

    def setup(self) -> None:
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".*.tmp"):  # of a process that was killed while writing
            try:
                if time.time() - leftover.stat().st_mtime > ABANDONED_SECONDS:
                    leftover.unlink()
            except FileNotFoundError:
                continue

    def start_bundle(self) -> None:
        self._lines = []

    def process(self, element: AnyAnswer | DeadLetter | str) -> None:
        self._lines.append(element if isinstance(element, str) else element.to_json())
        if isinstance(element, DeadLetter):
            Metrics.counter(NAMESPACE, f"dead_letters_{element.stage}").inc()

    def finish_bundle(self) -> None:
        """Write the part. It is whole and durable before the runner counts the bundle as done."""
        if not self._lines:
            return
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:12]}.jsonl"
        temporary = Path(self._folder, f".{name}.tmp")
        with temporary.open("w", encoding="utf-8") as file:
            file.write("\n".join(self._lines) + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(temporary.with_name(name))
        self._lines = []


class JsonlParts(beam.PTransform):
    """Writes answers, dead letters or lines to a folder, one file per bundle, named by time and at random.

    Written under a name that begins with a dot, then renamed. Delivery is at least once: after a crash a bundle may
    be written twice, so readers keep the first line per request id.

    Args:
        folder: Made if it is not there.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder

    def expand(self, pcoll: beam.PCollection[AnyAnswer | DeadLetter | str]) -> beam.PCollection[None]:
        """Apply to what is to be written."""
        return pcoll | "Write" >> beam.ParDo(_WriteParts(self._folder))
