"""Which partitions a topic has, looked at again and again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Literal

import apache_beam as beam
from apache_beam.coders import StrUtf8Coder, TupleCoder, VarIntCoder
from apache_beam.transforms.userstate import BagStateSpec

from beam_jobs.transforms.kafka_position import Partition
from beam_jobs.transforms.kafka_reader import BOUNDS_SECONDS, DEFAULTS, OWN
from beam_jobs.transforms.ticks import Ticks
from modelfleet.spec.kafka_client import KafkaClient

logger = logging.getLogger(__name__)

Start = Literal["earliest", "latest"]


class _NewPartitions(beam.DoFn):
    """Emits the partitions not emitted before; what it has emitted is part of the checkpoint."""

    SEEN = BagStateSpec("seen", TupleCoder([StrUtf8Coder(), VarIntCoder()]))

    def __init__(self, client: KafkaClient, topic: str, group: str, start: Start) -> None:
        self._client = client
        self._topic = topic
        self._group = group
        self._start = start
        self._consumer: Any = None

    def process(self, element: tuple[str, int], seen: Any = beam.DoFn.StateParam(SEEN)) -> Iterator[Partition]:
        from confluent_kafka import KafkaException

        topic = self._topic
        all_known = list(seen.read())
        known = {number for name, number in all_known if name == topic}
        try:
            fresh = sorted(self._partitions(topic) - known)
            # All at once or none: at the next look, those left out would be taken for new ones
            found = [(topic, number, self._first(topic, number, is_new=bool(known))) for number in fresh]
        except KafkaException as error:
            logger.warning("the partitions of topic '%s' are not known yet, asking again: %s", topic, error)
            return
        if len(all_known) > len(known):  # of another topic, which the spec named before; nobody reads it now
            seen.clear()
            for number in known:
                seen.add((topic, number))
        for partition in found:
            seen.add(partition[:2])
            logger.info("%s[%d] is read from offset %d on", *partition)
            yield partition

    def teardown(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None

    def _partitions(self, topic: str) -> set[int]:
        from confluent_kafka import Consumer, KafkaException

        if self._consumer is None:
            self._consumer = Consumer(self._client.configuration({**OWN, "group.id": self._group}, defaults=DEFAULTS))
        described = self._consumer.list_topics(topic, timeout=BOUNDS_SECONDS).topics[topic]
        if described.error is not None:
            raise KafkaException(described.error)
        return set(described.partitions)

    def _first(self, topic: str, number: int, *, is_new: bool) -> int:
        """Return where to begin; one added while the job runs is read from its beginning, whatever the spec says."""
        from confluent_kafka import TopicPartition

        low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=BOUNDS_SECONDS)
        return int(high if self._start == "latest" and not is_new else low)


class KafkaPartitions(beam.PTransform):
    """Emits every partition of a topic once, with the offset at which to begin it.

    Args:
        client: Which Kafka.
        topic: The topic.
        group: Group whose name the broker is told.
        start: Where the partitions that are there at the first look begin.
        discover_seconds: How often it looks for new ones.
    """

    def __init__(self, client: KafkaClient, topic: str, *, group: str, start: Start, discover_seconds: float) -> None:
        super().__init__()
        self._new = _NewPartitions(client, topic, group, start)
        self._discover_seconds = discover_seconds

    def expand(self, pbegin: beam.pvalue.PBegin) -> beam.PCollection[Partition]:
        """Apply to the pipeline itself."""
        return (
            pbegin
            | "Clock" >> Ticks(self._discover_seconds)
            | "Look" >> beam.Map(lambda tick: ("", tick)).with_output_types(tuple[str, int])
            | "New partitions" >> beam.ParDo(self._new).with_output_types(Partition)
        )
