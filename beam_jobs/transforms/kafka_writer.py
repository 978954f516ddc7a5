"""Keyed messages to a Kafka topic: on the broker, or the bundle fails and is tried again."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import apache_beam as beam

from modelfleet.spec.kafka_client import KafkaClient

logger = logging.getLogger(__name__)

DELIVERY_SECONDS = 120.0
"""So long a bundle waits for a broker that is down before it fails; a restart or a pause costs no more than itself."""

ASK_SECONDS = 5.0
QUIET_SECONDS = 10.0

HEADROOM = 1024
"""What a batch of one message may need beside key and value."""

OWN: dict[str, Any] = {
    "enable.idempotence": True,  # what librdkafka sends again is not there twice
    "delivery.report.only.error": True,  # no call per message that is delivered
    "message.timeout.ms": int(DELIVERY_SECONDS * 1000),
}
"""What a producer is told, whatever the spec says."""

DEFAULTS: dict[str, Any] = {
    "linger.ms": 5,
    "reconnect.backoff.max.ms": 1000,
    "log_level": 2,  # the error callback tells the same, once
}

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
        """Return it in bytes of key and value, asking again while the broker is away.

        Raises:
            KafkaWriteError: It still is after ``DELIVERY_SECONDS``.
        """
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient, ConfigResource

        resource = ConfigResource(ConfigResource.Type.TOPIC, self.topic)
        admin = AdminClient(self.client.configuration({"log_level": 2}))
        deadline = time.monotonic() + DELIVERY_SECONDS
        while True:
            try:
                described = admin.describe_configs([resource], request_timeout=ASK_SECONDS)[resource].result()
                return int(described["max.message.bytes"].value) - HEADROOM
            except KafkaException as error:
                if time.monotonic() > deadline:
                    raise KafkaWriteError(f"topic '{self.topic}': its largest message is not known: {error}") from None
                logger.warning("topic '%s': %s; asking again how large a message may be", self.topic, error)
                time.sleep(0.5)


class _Produce(beam.DoFn):
    def __init__(self, client: KafkaClient, topic: str, limit: int | TopicLimit) -> None:
        self._client = client
        self._topic = topic
        self._limit = limit
        self._producer: Any = None
        self._errors: list[Any] = []
        self._told = 0.0

    def start_bundle(self) -> None:
        self._errors = []

    def process(self, element: Message | list[Message]) -> None:
        if self._producer is None:
            self._producer = self._open()
        for key, value in element if isinstance(element, list) else (element,):
            while True:
                try:
                    self._producer.produce(self._topic, value, key, on_delivery=self._failed)
                    break
                except BufferError:  # more than is held back at once: wait until the broker has taken some
                    self._producer.poll(0.05)

    def finish_bundle(self) -> None:
        """Wait until the broker has every message of the bundle."""
        if self._producer is None:
            return
        left = self._producer.flush(DELIVERY_SECONDS + 10)
        if left or self._errors:
            raise KafkaWriteError(
                f"topic '{self._topic}': {left + len(self._errors)} messages were not taken"
                f"{f', such as by: {self._errors[0]}' if self._errors else ''}; they are sent again"
            )

    def teardown(self) -> None:
        if self._producer is not None:
            self._producer.purge()  # after a failure: the next try sends them
            self._producer.flush(1)
            self._producer = None

    def _open(self) -> Any:
        from confluent_kafka import Producer

        # A batch of small messages must not be larger than what the broker takes either
        limit = self._limit if isinstance(self._limit, int) else self._limit.ask()
        sizes = {"message.max.bytes": max(limit + HEADROOM, 1000), "batch.size": min(limit, 1_000_000)}
        own = {**OWN, **sizes, "error_cb": self._note}
        return Producer(self._client.configuration(own, defaults=DEFAULTS))

    def _failed(self, error: Any, message: Any) -> None:
        self._errors.append(error)

    def _note(self, error: Any) -> None:
        if time.monotonic() - self._told > QUIET_SECONDS:
            self._told = time.monotonic()
            logger.warning("topic '%s': %s; waiting, nothing is lost", self._topic, error)


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
