"""Notices over Kafka."""

from __future__ import annotations

import logging
import queue
import threading
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from modelfleet.errors import InputError, MissingExtraError, NoticeError
from modelfleet.releases.notice import SEND_SECONDS, Notice
from modelfleet.spec.kafka_client import KafkaClient

if TYPE_CHECKING:
    from modelfleet.spec.notices import KafkaNotices

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""How often a listener looks for new partitions."""

LAST_FEW = -2000 - 10
"""librdkafka's way to say "ten before the end": what is sent while a listener finds its place is not missed."""

METADATA_SECONDS = 5.0
POLL_SECONDS = 0.5
TROUBLE_SECONDS = 2.0


def _library() -> Any:
    try:
        import confluent_kafka
    except ImportError as error:
        raise MissingExtraError("confluent_kafka", "kafka") from error
    return confluent_kafka


class KafkaNotifier:
    """Sends notices to a topic."""

    def __init__(self, notices: KafkaNotices) -> None:
        self._notices = notices
        self._kafka = _library()

    def send(self, notice: Notice) -> None:
        """Send one and wait until the broker has it; see ``Notifier``."""
        failed: list[Any] = []
        where = f"topic '{self._notices.topic}' of {self._notices.bootstrap_servers}"
        own = {"message.timeout.ms": int(SEND_SECONDS * 1000), "logger": logger}
        try:
            producer = self._kafka.Producer(_configuration(self._notices, own))
            producer.produce(
                self._notices.topic,
                notice.to_bytes(),
                key=notice.fleet.encode(),
                on_delivery=lambda error, message: failed.append(error) if error else None,
            )
            left = producer.flush(SEND_SECONDS)
        except (self._kafka.KafkaException, BufferError, InputError) as error:
            raise NoticeError(f"{where}: {error}") from error
        if left or failed:
            raise NoticeError(f"{where}: {failed[0] if failed else f'not sent within {SEND_SECONDS:g} s'}")


class KafkaListener:
    """Hears a topic from a little before its end, in a thread of its own.

    It belongs to no group and keeps no offsets: what it misses while it is away, the job finds in the ledger.
    """

    def __init__(self, notices: KafkaNotices) -> None:
        self._notices = notices
        self._kafka = _library()
        self._came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._closed = threading.Event()
        self._partitions: frozenset[int] = frozenset()
        self._thread = threading.Thread(target=self._listen, name="modelfleet-notices", daemon=True)
        self._thread.start()

    def heard(self) -> Sequence[bytes]:
        """Return what came; see ``Listener``."""
        found = []
        while not self._came.empty():
            found.append(self._came.get())
        return found

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._thread.join(timeout=5)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._hear()
            except Exception as error:  # a broker that is away, or options that are wrong, may be mended
                logger.warning("notices of topic '%s': %s; trying again", self._notices.topic, error)
                self._closed.wait(TROUBLE_SECONDS)

    def _hear(self) -> None:
        """Listen until there is trouble, or no more need."""
        own = {"group.id": f"modelfleet-notices-{uuid.uuid4().hex}", "enable.auto.commit": False, "logger": logger}
        consumer = self._kafka.Consumer(_configuration(self._notices, own))
        self._partitions = frozenset()
        look_at = 0.0
        try:
            while not self._closed.is_set():
                if time.monotonic() >= look_at:
                    look_at = time.monotonic() + LOOK_SECONDS
                    self._look(consumer)
                message = consumer.poll(POLL_SECONDS)
                if message is None:
                    continue
                if message.error() is not None:
                    raise self._kafka.KafkaException(message.error())
                self._came.put(message.value() or b"")
        finally:
            consumer.close()

    def _look(self, consumer: Any) -> None:
        """Take up the topic's partitions: the first ones near their end, later ones, which are new, from the start."""
        topic = consumer.list_topics(self._notices.topic, timeout=METADATA_SECONDS).topics[self._notices.topic]
        if topic.error is not None:
            raise self._kafka.KafkaException(topic.error)
        found = frozenset(topic.partitions)
        if found == self._partitions:
            return
        place = self._kafka.OFFSET_BEGINNING if self._partitions else LAST_FEW
        fresh = [self._kafka.TopicPartition(self._notices.topic, number, place) for number in found - self._partitions]
        consumer.incremental_assign(fresh)
        self._partitions = found


def _configuration(notices: KafkaNotices, own: dict[str, Any]) -> dict[str, Any]:
    return KafkaClient(str(notices.bootstrap_servers), notices.config).configuration(own)
