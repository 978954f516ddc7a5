from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cloud.conftest import Tool
from tests.cloud.emulators import Emulator, start_pubsub


@pytest.fixture(scope="session")
def pstest(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Google's in-memory Pub/Sub."""
    emulator = start_pubsub(tmp_path_factory.mktemp("pubsub") / "log")
    yield emulator
    emulator.close()


@dataclass
class Pubsub:
    """The service, with the real clients."""

    publisher: Any
    subscriber: Any

    def topic(self, name: str) -> tuple[str, str]:
        """Make a topic and a subscription of it, and return their names."""
        name = f"{name}-{uuid.uuid4().hex[:8]}"
        topic, subscription = f"projects/my-shop/topics/{name}", f"projects/my-shop/subscriptions/{name}"
        self.publisher.create_topic(name=topic)
        self.subscriber.create_subscription(name=subscription, topic=topic)
        return topic, subscription

    def pull(self, subscription: str) -> list[Any]:
        """Take what waits in a subscription, and acknowledge it."""
        from google.api_core.exceptions import DeadlineExceeded

        try:
            answer = self.subscriber.pull(subscription=subscription, max_messages=100, timeout=2.0, retry=None)
        except DeadlineExceeded:
            return []
        found = list(answer.received_messages)
        if found:
            self.subscriber.acknowledge(subscription=subscription, ack_ids=[one.ack_id for one in found])
        return [one.message for one in found]


@pytest.fixture
def pubsub(pstest: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pubsub]:
    """Pub/Sub, and an environment that finds it."""
    from google.cloud import pubsub_v1

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", pstest.address)
    monkeypatch.setenv("PUBSUB_PROJECT_ID", "my-shop")
    publisher, subscriber = pubsub_v1.PublisherClient(), pubsub_v1.SubscriberClient()
    yield Pubsub(publisher, subscriber)
    publisher.stop()
    publisher.transport.close()
    subscriber.close()
