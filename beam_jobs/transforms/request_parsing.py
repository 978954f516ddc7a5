"""Lines to requests; what is not a request becomes a dead letter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam

from modelfleet.serving.answer import DeadLetter, read_request
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.request import Request

BAD = "bad"


class _Parse(beam.DoFn):
    def process(self, element: bytes | Chunk) -> Iterator[Any]:
        read = element if isinstance(element, Chunk) else read_request(element, now=datetime.now(UTC))
        yield beam.pvalue.TaggedOutput(BAD, read) if isinstance(read, DeadLetter) else read


class ParseRequests(beam.PTransform):
    """Lines in; requests (or chunks of them) and dead letters out, one of them for every line.

    Chunks of a Parquet file have been read already and pass.
    """

    def expand(
        self, pcoll: beam.PCollection[bytes | Chunk]
    ) -> tuple[beam.PCollection[Request | Chunk], beam.PCollection[DeadLetter]]:
        """Apply to lines."""
        outputs = pcoll | "Parse" >> beam.ParDo(_Parse()).with_outputs(BAD, main="requests")
        return outputs["requests"], outputs[BAD]
