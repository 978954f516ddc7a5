"""Requests from a folder: every JSONL or Parquet file that appears in it is read once, whole."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
from apache_beam.coders import BytesCoder
from apache_beam.transforms.userstate import BagStateSpec

from beam_jobs.transforms.ticks import Ticks
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.parquet_requests import read_requests
from modelfleet.serving.request import MAX_BYTES

logger = logging.getLogger(__name__)

UNREADABLE = "unreadable"
JSONL, PARQUET = b".jsonl", b".parquet"
FILES_PER_TICK = 500


class _NewFiles(beam.DoFn):
    """Lists the folder and emits the files not emitted before; what it has emitted is part of the checkpoint."""

    SEEN = BagStateSpec("seen", BytesCoder())

    def process(self, element: tuple[str, int], seen: Any = beam.DoFn.StateParam(SEEN)) -> Iterator[bytes]:
        folder, _ = element
        present = _request_files(folder)
        known = set(seen.read())
        fresh = [(path, mark) for mark, path in present.items() if mark not in known]
        if len(known) > 2 * len(present) + 1000:  # most of what was seen has been deleted: forget it
            seen.clear()
            for mark in known & present.keys():
                seen.add(mark)
        for path, mark in sorted(fresh)[:FILES_PER_TICK]:
            seen.add(mark)
            yield path


class _Lines(beam.DoFn):
    """Emits the lines of a file as bytes, without empty ones, or the chunks of a Parquet file.

    A file that cannot be read is a dead letter.
    """

    def process(self, element: bytes) -> Iterator[Any]:
        if element.endswith(PARQUET):
            for read in read_requests(element, now=datetime.now(UTC)):
                yield beam.pvalue.TaggedOutput(UNREADABLE, read) if isinstance(read, DeadLetter) else read
            return
        try:
            with open(element, "rb") as file:
                while line := file.readline(MAX_BYTES + 2):
                    yield from _without_end(line)
                    while len(line) == MAX_BYTES + 2 and not line.endswith(b"\n"):  # the rest of a line too long
                        line = file.readline(MAX_BYTES + 2)
        except OSError as error:
            logger.warning("request file %r cannot be read: %s", element, error)
            letter = DeadLetter.of(
                element,
                reason=f"request file {element!r} cannot be read: {error.strerror}; put it there again by a rename",
                stage="parse",
                now=datetime.now(UTC),
            )
            yield beam.pvalue.TaggedOutput(UNREADABLE, letter)


class RequestFolder(beam.PTransform):
    """Watches a folder for ``*.jsonl`` and ``*.parquet`` and emits requests, and dead letters for what it cannot read.

    A line of a JSONL file comes out as bytes, the rows of a Parquet file as chunks (``modelfleet.serving.chunk``).
    Files are expected to appear by a rename from a name that begins with a dot or has another ending, so that they are
    never seen half-written. A file that is replaced or grows is read again, from its start: a request may then be
    answered twice but never lost.

    Args:
        folder: Made if it is not there.
        poll_seconds: How often it is listed.
    """

    def __init__(self, folder: str, *, poll_seconds: float) -> None:
        super().__init__()
        self._folder = folder
        self._poll_seconds = poll_seconds

    def expand(
        self, pbegin: beam.pvalue.PBegin
    ) -> tuple[beam.PCollection[bytes | Chunk], beam.PCollection[DeadLetter]]:
        """Apply to the pipeline itself."""
        folder = self._folder
        outputs = (
            pbegin
            | "Clock" >> Ticks(self._poll_seconds)
            | "Look" >> beam.Map(lambda tick: (folder, tick)).with_output_types(tuple[str, int])
            | "New files" >> beam.ParDo(_NewFiles()).with_output_types(bytes)
            | "Spread" >> beam.Reshuffle()
            | "Lines" >> beam.ParDo(_Lines()).with_outputs(UNREADABLE, main="lines")
        )
        return outputs["lines"], outputs[UNREADABLE]


def _request_files(folder: str) -> dict[bytes, bytes]:
    """Return the paths of a folder's request files by a mark that changes when a file is replaced.

    Paths are bytes: a file name need not be text, and one that is not must not stop the job.
    """
    files = {}
    try:
        with os.scandir(os.fsencode(folder)) as entries:
            for entry in entries:
                if entry.name.endswith((JSONL, PARQUET)) and not entry.name.startswith(b".") and entry.is_file():
                    status = entry.stat()
                    identity = b"%s\0%d\0%d" % (entry.name, status.st_mtime_ns, status.st_size)
                    files[hashlib.blake2b(identity, digest_size=12).digest()] = entry.path
    except FileNotFoundError:
        logger.info("request folder %s is not there yet", folder)
    return files


def _without_end(line: bytes) -> Iterator[bytes]:
    line = line.rstrip(b"\r\n")
    if line.strip():
        yield line
