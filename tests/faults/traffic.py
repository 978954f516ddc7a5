"""Steady traffic through Kafka, every request counted on its way in and on its way out."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import Consumer, Producer, TopicPartition

from modelfleet.serving.answer import Answer, DeadLetter
from tests.kafka.broker import Broker

TICK_SECONDS = 0.05
MAX_BYTES = 16_000_000
"""What the topic of the requests takes: more than a request may have, so that one too long gets to the job."""


@dataclass(frozen=True)
class Sent:
    """One request: when it was given to the producer, and what its model must add to zero."""

    at: float
    x: float


@dataclass
class Traffic:
    """Sends requests at a steady rate from a thread of its own, and reads what comes out from another.

    Attributes:
        broker: Where the topics are.
        requests: Topic that the job reads.
        answers: Topic of the answers.
        dead_letters: Topic of the dead letters.
        make_row: Returns the row of the n-th request.
        per_second: Requests per second.
    """

    broker: Broker
    requests: str
    answers: str
    dead_letters: str
    make_row: Callable[[int], Mapping[str, object]]
    per_second: float = 100.0
    sent: dict[str, Sent] = field(default_factory=dict)
    answered: dict[str, list[tuple[float, Answer]]] = field(default_factory=dict)
    dead: list[DeadLetter] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def start(self) -> None:
        """Begin to send and to read."""
        self._stop, self._held = threading.Event(), threading.Event()
        own = {"linger.ms": 5, "message.timeout.ms": 300_000, "message.max.bytes": MAX_BYTES}  # outlasts any fault
        self._producer = Producer({**self.broker.configuration, **own})
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._send_steadily, self._read)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End both."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        assert not self.failures, self.failures

    def hold(self) -> None:
        """Send no steady traffic until ``go_on``."""
        self._held.set()

    def go_on(self) -> None:
        """Send steady traffic again, without what was left out."""
        self._held.clear()

    def send(self, row: Mapping[str, object], **beside: object) -> str:
        """Send one request and return its id."""
        request_id = uuid.uuid4().hex
        x = row.get("x")
        self.sent[request_id] = Sent(time.monotonic(), float(x) if isinstance(x, int | float) else float("nan"))
        self.send_bytes(json.dumps({"request_id": request_id, "row": row, **beside}).encode())
        return request_id

    def send_bytes(self, message: bytes) -> None:
        """Send whatever it is."""
        self._producer.produce(self.requests, message, on_delivery=self._delivered)
        self._producer.poll(0)

    def open_ids(self) -> set[str]:
        """Return the ids that have neither an answer nor a dead letter."""
        dead = {letter.request_id for letter in list(self.dead)}
        return {one for one in list(self.sent) if one not in self.answered and one not in dead}

    def _delivered(self, error: object, _: object) -> None:
        if error:
            self.failures.append(f"the broker did not take a request: {error}")

    def _send_steadily(self) -> None:
        number, last, owed = 0, time.monotonic(), 0.0
        while not self._stop.wait(TICK_SECONDS):
            now = time.monotonic()
            owed = 0.0 if self._held.is_set() else owed + (now - last) * self.per_second
            last = now
            for _ in range(int(owed)):
                self.send(self.make_row(number))
                number += 1
            owed -= int(owed)
            self._producer.poll(0)
        self._producer.flush(60)

    def _read(self) -> None:
        consumer = Consumer({**self.broker.configuration, "group.id": uuid.uuid4().hex, "enable.auto.commit": False})
        topics = {self.answers: self._take_answer, self.dead_letters: self._take_dead_letter}
        consumer.assign([TopicPartition(topic, 0, 0) for topic in topics])
        try:
            while not self._stop.is_set():
                for message in consumer.consume(1000, 0.1):
                    if message.error() is None:  # else the broker is away; the client goes on asking
                        topics[message.topic()](message.value())
        finally:
            consumer.close()

    def _take_answer(self, value: bytes) -> None:
        answer = Answer.from_json(value)
        self.answered.setdefault(answer.request_id, []).append((time.monotonic(), answer))

    def _take_dead_letter(self, value: bytes) -> None:
        self.dead.append(DeadLetter.from_json(value))
