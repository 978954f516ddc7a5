"""The producers of this process: one per topic, however many copies of the writer Beam makes.

A copy is made whenever the ones there are wait for a checkpoint. With a producer of its own each would first have to
find the broker and its topic, half a second in which nothing is answered.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from modelfleet.spec.kafka_client import KafkaClient

logger = logging.getLogger(__name__)

DELIVERY_SECONDS = 120.0
"""So long a bundle waits for a broker that is down before it fails; a restart or a pause costs no more than itself."""

PATIENCE_SECONDS = 10.0
"""So long one producer tries. A new one then takes over, for a producer may never find its broker again: librdkafka
loses a partition whose leader was away for a moment (confluentinc/librdkafka#5430)."""

QUIET_SECONDS = 10.0
"""A trouble that lasts is told again after so long."""

HEADROOM = 1024
"""What a batch of one message may need beside key and value."""

OWN: dict[str, Any] = {
    "enable.idempotence": True,  # what librdkafka sends again is not there twice
    "delivery.report.only.error": True,  # no call per message that is delivered
    "message.timeout.ms": int(PATIENCE_SECONDS * 1000),
}
"""What a producer is told, whatever the spec says."""

DEFAULTS: dict[str, Any] = {
    "linger.ms": 5,
    "reconnect.backoff.max.ms": 1000,
    "log_level": 2,  # the error callback tells the same, once
}

Key = tuple[str, str]


class KafkaProducers:
    """Producers by servers and topic; the last user closes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._producers: dict[Key, Any] = {}
        self._told = 0.0

    def open(self) -> None:
        """Count one more user."""
        with self._lock:
            self._users += 1

    def close(self) -> None:
        """Count one user less, and close everything after the last; what was not taken is sent by the next try."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            producers, self._producers = self._producers, {}
        for producer in producers.values():
            _end(producer)

    def get(self, client: KafkaClient, topic: str, limit: int) -> Any:
        """Return the producer of a topic.

        Args:
            client: Which Kafka.
            topic: The topic.
            limit: Largest message in bytes of key and value; a batch of small ones is no larger either.
        """
        from confluent_kafka import Producer

        key = (client.servers, topic)
        with self._lock:
            if key not in self._producers:
                sizes = {"message.max.bytes": max(limit + HEADROOM, 1000), "batch.size": min(limit, 1_000_000)}
                own = {**OWN, **sizes, "error_cb": lambda error: self._note(topic, error)}
                self._producers[key] = Producer(client.configuration(own, defaults=DEFAULTS))
            return self._producers[key]

    def discard(self, producer: Any) -> None:
        """End a producer that has failed, some failures being for good; who asks next gets a new one.

        What else it was sending fails with it, and is sent again.
        """
        with self._lock:
            self._producers = {key: each for key, each in self._producers.items() if each is not producer}
        _end(producer)

    def _note(self, topic: str, error: Any) -> None:
        if time.monotonic() - self._told > QUIET_SECONDS:
            self._told = time.monotonic()
            logger.warning("topic '%s': %s; waiting, nothing is lost", topic, error)


def _end(producer: Any) -> None:
    producer.purge()
    producer.flush(1)


PRODUCERS = KafkaProducers()
