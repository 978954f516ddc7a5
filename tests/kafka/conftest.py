"""A fleet whose requests and answers are messages: one broker, one job server and one job for the whole folder."""

from __future__ import annotations

import contextlib
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk_answer import AnyAnswer, read_answer
from tests.conftest import REPOSITORY
from tests.kafka.broker import Broker, Tail
from tests.streaming.conftest import Live, Shop, shop_spec

MOST_BYTES = 50_000
"""What the topics of answers and dead letters take."""


@dataclass
class KafkaShop(Shop):
    """The fleet of stores, served by way of topics."""

    broker: Broker = field(kw_only=True)
    requests: str = field(kw_only=True)
    tails: dict[str, Tail] = field(kw_only=True)

    @classmethod
    def of(cls, broker: Broker, **source: Any) -> KafkaShop:
        """Return one with topics of its own.

        Args:
            broker: The local broker of its home folder.
            source: More about the source in its spec.
        """
        requests = broker.topic("requests", partitions=2)
        config = {"max.message.bytes": str(MOST_BYTES)}
        topics = {name: broker.topic(name, config=config) for name in ("answers", "dead_letters")}
        spec = shop_spec(
            source={"kind": "kafka", "topic": requests, "discover_seconds": 0.5, **source},
            sink={"kind": "kafka", **topics},
        ).model_copy(update={"fleet": f"shop_{uuid.uuid4().hex[:8]}"})
        tails = {name: Tail(broker, topic) for name, topic in topics.items()}
        return cls(broker.home, spec, broker=broker, requests=requests, tails=tails)

    @property
    def group(self) -> str:
        return f"modelfleet-{self.spec.fleet}"

    def drop(self, lines: Sequence[bytes]) -> None:
        """Send requests; they are on the broker when this returns."""
        self.broker.send(self.requests, lines)

    def answers(self) -> list[AnyAnswer]:
        return [read_answer(message.value()) for message in self.tails["answers"].messages()]

    def dead_letters(self) -> list[DeadLetter]:
        return [DeadLetter.from_json(message.value()) for message in self.tails["dead_letters"].messages()]


@pytest.fixture(scope="package")
def streaming(kafka: Broker) -> Iterator[Live]:
    """The streaming job of a fleet with one release, between topics."""
    subprocess.run([REPOSITORY / "infra" / "flink" / "build.sh"], check=True)
    with contextlib.ExitStack() as stack:
        shop = KafkaShop.of(kafka)
        for tail in shop.tails.values():
            stack.callback(tail.close)
        live = Live(shop, stack)
        shop.release()
        live.start()
        yield live
