"""Messages to requests; what is not a request becomes a dead letter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam

from beam_jobs.transforms.packs import Pack
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.message import read_message
from modelfleet.serving.request import Request
from modelfleet.serving.request_pack import Asked, RequestPack

BAD = "bad"


class _Parse(beam.DoFn):
    def process(self, element: bytes | Pack | Chunk) -> Iterator[Any]:
        if isinstance(element, Chunk):
            yield element
            return
        now = datetime.now(UTC)
        requests: list[Request | Chunk] = []
        for message in element if isinstance(element, list) else (element,):
            read = read_message(message, now=now)
            if isinstance(read, DeadLetter):
                yield beam.pvalue.TaggedOutput(BAD, read)
            else:
                requests.append(read)
        if requests:
            yield RequestPack(tuple(requests)) if isinstance(element, list) else requests[0]


class ParseRequests(beam.PTransform):
    """Messages in; requests (or chunks of them) and dead letters out, one of them for every message.

    The requests of a pack come out as one pack. Chunks of a Parquet file have been read already and pass.
    """

    def expand(
        self, pcoll: beam.PCollection[bytes | Pack | Chunk]
    ) -> tuple[beam.PCollection[Asked], beam.PCollection[DeadLetter]]:
        """Apply to messages."""
        outputs = pcoll | "Parse" >> beam.ParDo(_Parse()).with_outputs(BAD, main="requests")
        return outputs["requests"], outputs[BAD]
