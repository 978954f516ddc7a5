"""The broker of the tests: one for the session, which they may kill, pause and start again."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from modelfleet.engines.kafka_broker import KafkaBroker, start_kafka_broker, wait_for_kafka_broker
from modelfleet.home import Home

SECONDS = 60.0
PATIENCE = {"message.timeout.ms": 10_000}


@dataclass
class Broker:
    """A local Kafka broker and clients of it.

    Attributes:
        home: The root folder; its ``kafka`` is the broker's.
    """

    home: Home
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _address: KafkaBroker | None = None

    def start(self) -> None:
        """Start it, with the data and the port it had, and wait until it answers."""
        self._process = start_kafka_broker(self.home)
        self._address = wait_for_kafka_broker(self.home, process=self._process)

    def stop(self) -> None:
        """Stop it as a supervisor does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it with its work half done."""
        self._end(signal.SIGKILL)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keep it from running within the block; its connections stay open."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.resume()

    def resume(self) -> None:
        """Let it run again before the end of such a block."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def _end(self, number: int) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(SECONDS)
            self._process = None

    @property
    def address(self) -> KafkaBroker:
        """Where it listens."""
        assert self._address is not None
        return self._address

    @property
    def configuration(self) -> dict[str, Any]:
        """What every client of it is told."""
        return {"bootstrap.servers": self.address.bootstrap_servers, "logger": logging.getLogger(__name__)}

    def admin(self) -> AdminClient:
        return AdminClient(self.configuration)

    def topic(self, name: str = "t", *, partitions: int = 1, config: Mapping[str, str] | None = None) -> str:
        """Make a topic of a new name that begins with ``name``."""
        topic = f"{name}-{uuid.uuid4().hex[:8]}"
        admin = self.admin()  # one that is collected before the answer comes takes the answer with it
        admin.create_topics([NewTopic(topic, partitions, 1, config=dict(config or {}))])[topic].result(SECONDS)
        return topic

    def add_partitions(self, topic: str, count: int) -> None:
        """Give a topic so many partitions in all."""
        admin = self.admin()
        admin.create_partitions([NewPartitions(topic, count)])[topic].result(SECONDS)

    def send(self, topic: str, values: Sequence[bytes], *, partition: int = -1) -> None:
        """Write messages and wait until the broker has them."""
        left = list(values)
        deadline = time.monotonic() + SECONDS
        while left:  # a producer whose broker was away may never find it again, a new one does
            assert time.monotonic() < deadline, f"{topic}: {len(left)} messages were not taken"
            left = self._try_to_send(topic, left, partition)

    def _try_to_send(self, topic: str, values: Sequence[bytes], partition: int) -> list[bytes]:
        """Return the messages that the broker has not taken after some seconds."""
        producer = Producer({**self.configuration, "enable.idempotence": True, "linger.ms": 5, **PATIENCE})
        failed: list[bytes] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                assert error.code() == KafkaError._MSG_TIMED_OUT, error
                failed.append(message.value())

        for value in values:
            producer.produce(topic, value, partition=partition, on_delivery=delivered)
        assert producer.flush(SECONDS) == 0
        return failed

    def read(self, topic: str) -> list[Message]:
        """Return every message that is in a topic now."""
        consumer = Consumer({**self.configuration, "group.id": "reader", "enable.auto.commit": False})
        try:
            partitions = consumer.list_topics(topic, timeout=SECONDS).topics[topic].partitions
            ends, starts = {}, []
            for number in partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=SECONDS)
                if low < high:
                    ends[number] = high
                    starts.append(TopicPartition(topic, number, low))
            consumer.assign(starts)
            found = []
            deadline = time.monotonic() + SECONDS
            while ends:
                assert time.monotonic() < deadline, f"{topic}: not read to its end"
                for message in consumer.consume(1000, 0.2):
                    assert message.error() is None, message.error()
                    if message.offset() < ends.get(message.partition(), 0):
                        found.append(message)
                    if message.offset() + 1 >= ends.get(message.partition(), 0):
                        ends.pop(message.partition(), None)
            return found
        finally:
            consumer.close()

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Delete what lies before an offset, as retention does."""
        admin = self.admin()
        for done in admin.delete_records([TopicPartition(topic, partition, offset)]).values():
            done.result(SECONDS)

    def committed(self, group: str, topic: str, partition: int = 0) -> int | None:
        """Return the offset a group has committed; None before the first."""
        consumer = Consumer({**self.configuration, "group.id": group})
        try:
            offset = consumer.committed([TopicPartition(topic, partition)], timeout=SECONDS)[0].offset
            return offset if offset >= 0 else None
        finally:
            consumer.close()


class Tail:
    """Everything that a topic has held since the tail was made, kept up to date by whoever asks.

    Args:
        broker: The broker.
        topic: A topic of one partition.
    """

    def __init__(self, broker: Broker, topic: str) -> None:
        self._consumer = Consumer({**broker.configuration, "group.id": "tail", "enable.auto.commit": False})
        self._consumer.assign([TopicPartition(topic, 0, 0)])
        self._messages: list[Message] = []

    def messages(self) -> list[Message]:
        """Return every message so far."""
        while found := self._consumer.consume(1000, 0.05):
            self._messages += [message for message in found if message.error() is None]
        return list(self._messages)

    def close(self) -> None:
        self._consumer.close()


def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
