"""Serving: everything about a real broker and a real Flink, which all of it shares."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from benchmarks.bench import Bench
from benchmarks.result import Result
from benchmarks.works import answering, million, swapping
from modelfleet.errors import MissingExtraError

WORKS = (*swapping.WORKS, *answering.WORKS, *million.WORKS)


LIBRARIES = ("confluent_kafka", "msgspec", "psutil")
"""What sends, reads and watches."""


def measure(bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of these works.

    Raises:
        MissingExtraError: A library is not installed.
        EngineUnavailableError: The broker or the job server is not built, or does not start.
    """
    for library in LIBRARIES:
        if importlib.util.find_spec(library) is None:
            raise MissingExtraError(library, "bench")
    from benchmarks.stream.stage import standing

    bench.say("starting a broker and a job server")
    with standing(bench.folder("stage")) as stage:
        for works in (swapping, answering, million):
            if bench.wants(*works.WORKS):
                yield from works.measure(bench, stage)
