"""Where the streaming job's requests come from: a folder, a Kafka topic or a Pub/Sub subscription."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import apache_beam as beam

from beam_jobs.transforms.kafka_partitions import Start
from beam_jobs.transforms.kafka_readers import Pace
from beam_jobs.transforms.kafka_source import KafkaSource
from beam_jobs.transforms.packs import Pack, Packing
from beam_jobs.transforms.release_signal import ReleaseSignal
from beam_jobs.transforms.request_source import RequestFolder
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk import Chunk
from modelfleet.spec.kafka_client import KafkaClient


@dataclass(frozen=True)
class FolderInput:
    """A folder of request files.

    Attributes:
        folder: The folder.
        poll_seconds: How often it is looked at.
    """

    folder: str
    poll_seconds: float = 0.5


@dataclass(frozen=True)
class KafkaInput:
    """A Kafka topic.

    Attributes:
        client: Which Kafka.
        topic: The topic.
        group: Whose offsets are committed, for whoever watches the lag.
        start: Where the partitions begin that are there at the first start.
        discover_seconds: How often new ones are looked for.
        pace: How much is read at once.
        packing: How large a pack of messages may become.
    """

    client: KafkaClient
    topic: str
    group: str
    start: Start = "earliest"
    discover_seconds: float = 10.0
    pace: Pace = field(default_factory=Pace)
    packing: Packing = field(default_factory=Packing)


@dataclass(frozen=True)
class PubsubInput:
    """A Pub/Sub subscription.

    Attributes:
        subscription: ``projects/P/subscriptions/S``.
    """

    subscription: str


RequestInput = FolderInput | KafkaInput | PubsubInput


def read_requests(
    pipeline: beam.Pipeline,
    source: RequestInput,
    signal: ReleaseSignal | None = None,
    hint: Mapping[str, str | int] = MappingProxyType({}),
) -> tuple[beam.PCollection[bytes | Pack | Chunk], tuple[beam.PCollection[DeadLetter], ...]]:
    """Add the source to a pipeline.

    Args:
        pipeline: A streaming pipeline.
        source: Where requests come from.
        signal: Tells the process that reads of releases, in passing; None leaves it to look for them itself.
        hint: What the workers that read need, by Beam's names, where the signal is told by them.

    Returns:
        Requests, as bytes, in packs or as chunks that have been read already, and dead letters for what cannot be read.
    """
    if isinstance(source, KafkaInput):
        messages = pipeline | "Requests" >> KafkaSource(
            source.client,
            source.topic,
            group=source.group,
            start=source.start,
            discover_seconds=source.discover_seconds,
            pace=source.pace,
            packing=source.packing,
            signal=signal,
        ).with_resource_hints(**hint)
        return messages, ()
    unreadable: tuple[beam.PCollection[DeadLetter], ...] = ()
    if isinstance(source, PubsubInput):
        lines = pipeline | "Requests" >> beam.io.ReadFromPubSub(subscription=source.subscription)
    else:
        lines, bad = pipeline | "Requests" >> RequestFolder(source.folder, poll_seconds=source.poll_seconds)
        unreadable = (bad,)
    if signal is None:
        return lines, unreadable
    # Beam's own source takes no side input, and that of a folder has steps between that part the pipeline anyway
    return lines | "Signal" >> signal.with_resource_hints(**hint), unreadable
