"""The readers of this process: one consumer per partition, however many copies of the source Beam makes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from beam_jobs.transforms.kafka_reader import DEFAULTS, OWN, PartitionReader
from modelfleet.spec.kafka_client import KafkaClient

COMMIT_SECONDS = 5.0
"""The group's offsets are committed so often, not with every bundle: a bundle that waits to be finalised keeps its
processor, with a copy of every step, until the next checkpoint."""

BUSY_SECONDS = 0.2
"""A process in which no message came for so long may take its time."""

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Pace:
    """How much one call of the source reads; a bundle, and with it an answer, waits for its calls.

    Attributes:
        messages: Most messages per partition and call: the back-pressure, since the next call waits for the bundle.
        seconds: A call that finds messages goes on for so long while more come.
        wait_seconds: How long a process's partitions together wait for a message while there is none in any.
        busy_wait_seconds: The same while there are some in others.
    """

    messages: int = 5000
    seconds: float = 0.005
    wait_seconds: float = 0.1
    busy_wait_seconds: float = 0.005


class KafkaReaders:
    """Readers by servers, group, topic and partition; the last user closes them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._readers: dict[Key, PartitionReader] = {}
        self._positions: dict[Key, int] = {}
        self._committed: dict[Key, int] = {}
        self._commit_at = 0.0
        self._busy_until = 0.0

    def open(self) -> None:
        """Count one more user."""
        with self._lock:
            self._users += 1

    def close(self) -> None:
        """Count one user less, and close everything after the last."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            readers, self._readers = self._readers, {}
            self._positions, self._committed, self._commit_at = {}, {}, 0.0
        for reader in readers.values():
            reader.close()

    def get(self, client: KafkaClient, group: str, topic: str, partition: int) -> tuple[Key, PartitionReader]:
        """Return the reader of a partition, and the key that ``read_to`` takes."""
        key = (client.servers, group, topic, partition)

        def consumer(note: Callable[[Any], None]) -> Any:
            from confluent_kafka import Consumer

            own = {**OWN, "group.id": group, "error_cb": note}
            return Consumer(client.configuration(own, defaults=DEFAULTS))

        with self._lock:
            if key not in self._readers:
                self._readers[key] = PartitionReader(topic, partition, consumer)
            return key, self._readers[key]

    def patience(self, pace: Pace) -> float:
        """Return how many seconds a partition may wait for a message: the others wait with it."""
        count = max(len(self._readers), 1)
        busy = count > 1 and time.monotonic() < self._busy_until
        return (pace.busy_wait_seconds if busy else pace.wait_seconds) / count

    def found_some(self) -> None:
        """Note that there are messages just now, so that empty partitions do not keep the others waiting."""
        self._busy_until = time.monotonic() + BUSY_SECONDS

    def read_to(self, key: Key, position: int) -> Callable[[], None] | None:
        """Note how far a partition has been read.

        Returns:
            What to call once the bundle is durable, to commit the group's offsets; None while that is not due.
        """
        now = time.monotonic()
        with self._lock:
            self._positions[key] = position
            if now < self._commit_at or self._positions == self._committed:
                return None
            self._commit_at = now + COMMIT_SECONDS
            positions = dict(self._positions)
        return lambda: self._commit(positions)

    def _commit(self, positions: dict[Key, int]) -> None:
        with self._lock:
            due = [
                (self._readers[key], position)
                for key, position in positions.items()
                if key in self._readers and self._committed.get(key) != position
            ]
            self._committed |= positions
        for reader, position in due:
            reader.commit(position)


READERS = KafkaReaders()
