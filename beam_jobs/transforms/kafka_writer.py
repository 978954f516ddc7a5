"""Keyed messages to a Kafka topic: on the broker, or the bundle fails and is tried again."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from beam_jobs.transforms.kafka_producers import DELIVERY_SECONDS, HEADROOM, PATIENCE_SECONDS, PRODUCERS
from modelfleet.spec.kafka_client import KafkaClient

logger = logging.getLogger(__name__)

ASK_SECONDS = 5.0

Message = tuple[bytes | None, bytes]


class KafkaWriteError(RuntimeError):
    """The broker did not take a message; the bundle is tried again."""


@dataclass(frozen=True)
class TopicLimit:
    """The largest message that a broker takes for a topic; asked by the worker that needs it.

    Attributes:
        client: Which Kafka.
        topic: The topic.
    """

    client: KafkaClient
    topic: str

    def ask(self) -> int:
        """Return it in bytes of key and value, asking again while the broker is away; once in a process.

        Raises:
            KafkaWriteError: It still is after ``DELIVERY_SECONDS``.
        """
        key = (self.client.servers, self.topic)
        if key not in _LIMITS:
            _LIMITS[key] = _asked(self.client, self.topic)
        return _LIMITS[key]


_LIMITS: dict[tuple[str, str], int] = {}
"""What has been asked for in this process."""


def _asked(client: KafkaClient, topic: str) -> int:
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient, ConfigResource

    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    admin = AdminClient(client.configuration({"log_level": 2}))
    deadline = time.monotonic() + DELIVERY_SECONDS
    while True:
        try:
            described = admin.describe_configs([resource], request_timeout=ASK_SECONDS)[resource].result()
            return int(described["max.message.bytes"].value) - HEADROOM
        except KafkaException as error:
            if time.monotonic() > deadline:
                raise KafkaWriteError(f"topic '{topic}': its largest message is not known: {error}") from None
            logger.warning("topic '%s': %s; asking again how large a message may be", topic, error)
            time.sleep(0.5)


class _Produce(beam.DoFn):
    def __init__(self, client: KafkaClient, topic: str, limit: int | TopicLimit) -> None:
        self._client = client
        self._topic = topic
        self._limit = limit
        self._producer: Any = None
        self._errors: list[tuple[Any, Any]] = []

    def setup(self) -> None:
        from confluent_kafka import KafkaError, KafkaException

        self._kafka_error = KafkaException
        self._passing = {KafkaError._MSG_TIMED_OUT, KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT}
        PRODUCERS.open()

    def start_bundle(self) -> None:
        self._errors = []

    def process(self, element: Message | list[Message]) -> None:
        self._send(element if isinstance(element, list) else (element,))

    def finish_bundle(self) -> None:
        """Wait until the broker has every message of the bundle."""
        deadline = time.monotonic() + DELIVERY_SECONDS
        while self._producer is not None:
            left = self._producer.flush(PATIENCE_SECONDS + 10)  # longer than any message waits
            errors, self._errors = self._errors, []
            if not left and not errors:
                return
            lasting = [error for error, _ in errors if error.code() not in self._passing]
            if left or lasting or time.monotonic() > deadline:
                raise self._not_taken(left + len(errors), next(iter(lasting), errors[0][0] if errors else None))
            logger.warning("topic '%s': %d messages were not taken yet; a new producer tries", self._topic, len(errors))
            self._discard()
            self._send([(message.key(), message.value()) for _, message in errors])

    def _send(self, messages: Sequence[Message]) -> None:
        if self._producer is None:
            limit = self._limit if isinstance(self._limit, int) else self._limit.ask()
            self._producer = PRODUCERS.get(self._client, self._topic, limit)
        for key, value in messages:
            while True:
                try:
                    self._producer.produce(self._topic, value, key, on_delivery=self._failed)
                    break
                except BufferError:  # more than is held back at once: wait until the broker has taken some
                    self._producer.poll(0.05)
                except self._kafka_error as error:
                    raise self._not_taken(1, error) from error

    def _not_taken(self, count: int, why: Any) -> KafkaWriteError:
        self._discard()
        told = "" if why is None else f", such as by: {why}"
        return KafkaWriteError(f"topic '{self._topic}': {count} messages were not taken{told}; they are sent again")

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        PRODUCERS.discard(producer)

    def teardown(self) -> None:
        self._producer = None
        PRODUCERS.close()

    def _failed(self, error: Any, message: Any) -> None:
        self._errors.append((error, message))


class KafkaWriter(beam.PTransform):
    """Writes pairs of key and value to a topic, at least once, all of a bundle before the bundle counts as done.

    An element is a pair, or a list of them.

    Args:
        client: Which Kafka.
        topic: The topic; it must be there.
        limit: Largest message in bytes of key and value; None asks the broker.
    """

    def __init__(self, client: KafkaClient, topic: str, *, limit: int | None = None) -> None:
        super().__init__()
        self._produce = _Produce(client, topic, TopicLimit(client, topic) if limit is None else limit)

    def expand(self, pcoll: beam.PCollection[Message | list[Message]]) -> beam.PCollection[None]:
        """Apply to the messages."""
        return pcoll | "Produce" >> beam.ParDo(self._produce)
