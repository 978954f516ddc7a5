"""A partition in memory and a consumer of it, which fails when it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition


@dataclass
class FakePartition:
    """One partition.

    Attributes:
        values: Of all messages ever written.
        low: Offset of the first that has not been deleted.
        down: Whether the broker cannot be reached.
    """

    values: list[bytes] = field(default_factory=list)
    low: int = 0
    down: bool = False

    def consumer(self, note: Callable[[Any], None]) -> FakeConsumer:
        return FakeConsumer(self, note)


@dataclass(frozen=True)
class _Message:
    at: int
    content: bytes | None
    wrong: KafkaError | None = None

    def error(self) -> KafkaError | None:
        return self.wrong

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.content


class FakeConsumer:
    """As much of confluent-kafka's consumer as a reader uses."""

    def __init__(self, partition: FakePartition, note: Callable[[Any], None]) -> None:
        self._partition = partition
        self._note = note
        self._position: int | None = None
        self.committed: list[int] = []

    def assign(self, partitions: list[TopicPartition]) -> None:
        self._position = partitions[0].offset

    def consume(self, count: int, seconds: float) -> list[_Message]:
        there = self._partition
        if there.down:
            self._note(KafkaError(KafkaError._ALL_BROKERS_DOWN))
            return []
        assert self._position is not None
        if not there.low <= self._position <= len(there.values):
            return [_Message(self._position, None, KafkaError(KafkaError._AUTO_OFFSET_RESET))]
        end = min(self._position + count, len(there.values))
        found = [_Message(offset, there.values[offset]) for offset in range(self._position, end)]
        self._position = end
        return found

    def get_watermark_offsets(
        self, partition: TopicPartition, timeout: float = 1.0, cached: bool = False
    ) -> tuple[int, int]:
        if self._partition.down and not cached:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return self._partition.low, len(self._partition.values)

    def commit(self, offsets: list[TopicPartition], asynchronous: bool) -> None:
        self.committed.append(offsets[0].offset)

    def close(self) -> None:
        self._position = None
