"""The load generator: a process that sends requests to a Kafka topic at a steady rate.

Each request has its time from the schedule, counted from the start: one that is late does not make the next one
late. librdkafka stamps each message with the time it was handed over, and that is the request's send time.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.stream.traffic import Traffic
from modelfleet.errors import ModelfleetError

LATE_SECONDS = 0.02
"""A request sent later than this after its time is counted as late."""


@dataclass(frozen=True)
class Load:
    """What to send where.

    Attributes:
        servers: The brokers.
        topic: Where requests go.
        traffic: What they are.
        count: How many messages at most.
        rate: Messages per second; None means as fast as the broker takes them.
    """

    servers: str
    topic: str
    traffic: Traffic
    count: int
    rate: float | None = None


@dataclass(frozen=True)
class Sent:
    """What was sent.

    Attributes:
        count: Messages, all acknowledged by the broker.
        late: Messages handed over more than ``LATE_SECONDS`` after their time.
    """

    count: int
    late: int


class Generator:
    """A running generator.

    Args:
        process: Its process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def finish(self, *, now: bool = False) -> Sent:
        """Wait until all is sent and acknowledged.

        Args:
            now: Send nothing more.

        Raises:
            ModelfleetError: It failed.
        """
        assert self._process.stdin and self._process.stdout and self._process.stderr
        if now:
            self._process.stdin.close()
        output, told = self._process.stdout.read(), self._process.stderr.read()
        if self._process.wait():
            raise ModelfleetError(f"the load generator ended with {self._process.returncode}: {told.strip()[-500:]}")
        return Sent(**json.loads(output))


@contextmanager
def sending(load: Load) -> Iterator[Generator]:
    """Send in a process of its own, which ends with the block."""
    command = [sys.executable, "-P", "-m", "benchmarks.stream.generator", json.dumps(asdict(load))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield Generator(process)
        finally:
            if process.poll() is None:
                process.kill()


def send(load: Load, stop: threading.Event) -> Sent:
    """Send until the count is reached or somebody says stop; return once the broker has it all.

    Raises:
        ModelfleetError: The broker did not take something.
    """
    from confluent_kafka import Producer

    settings: dict[str, Any] = {"bootstrap.servers": load.servers, "enable.idempotence": True}
    # At a steady rate as a service would send, at no wait that is felt; a backlog goes in large batches
    settings |= {"linger.ms": 2} if load.rate else {"linger.ms": 50, "queue.buffering.max.messages": 200_000}
    producer = Producer(settings)
    sent = late = 0
    began = time.monotonic()
    second, event_time = -1, b""
    for head, tail in load.traffic.messages(load.count):
        if stop.is_set():
            break
        if load.rate:
            due = began + sent / load.rate
            while (ahead := due - time.monotonic()) > 0:
                time.sleep(ahead)
            late += ahead < -LATE_SECONDS
        if int(time.time()) != second:
            second = int(time.time())
            event_time = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()
        while True:
            try:
                producer.produce(load.topic, head + event_time + tail)
                break
            except BufferError:
                producer.poll(0.05)
        sent += 1
        producer.poll(0)
    left = producer.flush(60)
    if left:
        raise ModelfleetError(f"topic '{load.topic}': the broker has not taken {left} of {sent} requests after 60 s")
    return Sent(sent, late)


def main() -> None:
    """Send what the first argument says, as JSON, until standard input is closed; print what was sent."""
    told = json.loads(sys.argv[1])
    load = Load(**told | {"traffic": Traffic(**told["traffic"])})
    stop = threading.Event()

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    sys.stdout.write(json.dumps(asdict(send(load, stop))))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
