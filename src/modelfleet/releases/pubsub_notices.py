"""Notices over Google Cloud Pub/Sub."""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from modelfleet.errors import MissingExtraError, NoticeError
from modelfleet.releases.notice import SEND_SECONDS, Notice

if TYPE_CHECKING:
    from modelfleet.spec.notices import PubsubNotices

logger = logging.getLogger(__name__)


class Future(Protocol):
    """What the client library returns for something under way."""

    def result(self, timeout: float | None = None) -> Any:
        """Wait for it; raises what went wrong."""
        ...

    def cancel(self) -> Any:
        """Stop it."""
        ...

    def done(self) -> bool:
        """Return whether it has ended."""
        ...


class Publisher(Protocol):
    """As much of ``pubsub_v1.PublisherClient`` as is used."""

    def publish(self, topic: str, data: bytes, **attributes: str) -> Future:
        """Send a message."""
        ...


class Subscriber(Protocol):
    """As much of ``pubsub_v1.SubscriberClient`` as is used."""

    def subscribe(self, subscription: str, callback: Callable[[Any], None]) -> Future:
        """Call back for every message, from a thread of the library, until the future is cancelled."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


def _library() -> Any:
    try:
        from google.cloud import pubsub_v1
    except ImportError as error:
        raise MissingExtraError("google.cloud.pubsub", "gcp") from error
    return pubsub_v1


class PubsubNotifier:
    """Sends notices to a topic.

    Args:
        notices: Which topic.
        client: None makes the library's, with the environment's credentials.
    """

    def __init__(self, notices: PubsubNotices, client: Publisher | None = None) -> None:
        self._notices = notices
        self._client: Publisher = client or _library().PublisherClient()

    def send(self, notice: Notice) -> None:
        """Send one and wait until the service has it; see ``Notifier``."""
        try:
            sent = self._client.publish(self._notices.topic, notice.to_bytes(), fleet=notice.fleet)
            sent.result(SEND_SECONDS)
        except Exception as error:  # the library raises errors of its own and of those it is made of
            raise NoticeError(f"{self._notices.topic}: {type(error).__name__}: {error}") from error


class PubsubListener:
    """Hears a subscription; every message is acknowledged as it comes, whatever it holds.

    Args:
        notices: Which subscription.
        client: None makes the library's, with the environment's credentials.
    """

    def __init__(self, notices: PubsubNotices, client: Subscriber | None = None) -> None:
        self._notices = notices
        self._client = client
        self._pull: Future | None = None
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def heard(self) -> Sequence[bytes]:
        """Return what came; see ``Listener``."""
        try:
            self._keep_pulling()
        except Exception as error:  # such as credentials that are not there yet
            logger.warning("notices of %s: %s: %s; trying again", self._notices.subscription, type(error), error)
        found = []
        while not self._came.empty():
            found.append(self._came.get())
        return found

    def close(self) -> None:
        """Stop listening."""
        if self._pull is not None:
            self._pull.cancel()
            self._pull = None
        if self._client is not None:
            self._client.close()
            self._client = None

    def _keep_pulling(self) -> None:
        """Subscribe, and again after the library has given up."""
        if self._pull is not None and self._pull.done():
            ended, self._pull = self._pull, None
            ended.result(0)
        if self._pull is None:
            self._client = self._client or _library().SubscriberClient()
            self._pull = self._client.subscribe(self._notices.subscription, self._take)

    def _take(self, message: Any) -> None:
        self._came.put(message.data)
        message.ack()
