"""As much of Google's Pub/Sub client library as notices use: topics that hand every message to their subscriptions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Message:
    """A message under way; it comes again until it is acknowledged."""

    data: bytes
    acknowledged: bool = False

    def ack(self) -> None:
        self.acknowledged = True


class Done:
    """A future of the library: of a message that was sent, or of a subscription that is being pulled."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error
        self._ended = threading.Event()

    def result(self, timeout: float | None = None) -> str:
        if self._error is not None:
            raise self._error
        return "message-id"

    def done(self) -> bool:
        return self._ended.is_set()

    def cancel(self) -> None:
        self._ended.set()

    def break_off(self, error: Exception) -> None:
        """End as the library does when the service has been away for too long."""
        self._error = error
        self._ended.set()


@dataclass
class FakePubsub:
    """One topic and its subscription, in this process; publisher and subscriber in one."""

    topic: str
    subscription: str
    waiting: list[Message] = field(default_factory=list)
    away: bool = False
    pulls: list[Done] = field(default_factory=list)
    _callback: Callable[[Any], None] | None = None

    def publish(self, topic: str, data: bytes, **attributes: str) -> Done:
        if self.away:
            return Done(TimeoutError("the service is away"))
        if topic != self.topic:
            return Done(LookupError(f"404 no topic {topic}"))
        self.waiting.append(Message(data))
        self._deliver()
        return Done()

    def subscribe(self, subscription: str, callback: Callable[[Any], None]) -> Done:
        if subscription != self.subscription:
            raise LookupError(f"404 no subscription {subscription}")
        self._callback = callback
        self.pulls.append(Done())
        self._deliver()
        return self.pulls[-1]

    def close(self) -> None:
        self._callback = None

    def _deliver(self) -> None:
        """Call back from a thread of its own, as the library does."""
        if self._callback is None or self.pulls[-1].done():
            return
        for message in [message for message in self.waiting if not message.acknowledged]:
            thread = threading.Thread(target=self._callback, args=(message,))
            thread.start()
            thread.join()
