"""Lines to requests; what is not a request becomes a dead letter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam

from modelfleet.serving.answer import DeadLetter, read_request
from modelfleet.serving.request import Request

BAD = "bad"


class _Parse(beam.DoFn):
    def process(self, element: bytes) -> Iterator[Any]:
        read = read_request(element, now=datetime.now(UTC))
        yield read if isinstance(read, Request) else beam.pvalue.TaggedOutput(BAD, read)


class ParseRequests(beam.PTransform):
    """Lines in; requests and dead letters out, one of them for every line."""

    def expand(self, pcoll: beam.PCollection[bytes]) -> tuple[beam.PCollection[Request], beam.PCollection[DeadLetter]]:
        """Apply to lines."""
        outputs = pcoll | "Parse" >> beam.ParDo(_Parse()).with_outputs(BAD, main="requests")
        return outputs["requests"], outputs[BAD]
