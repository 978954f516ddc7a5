"""Reads one partition, and goes on whatever the broker does."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

BOUNDS_SECONDS = 2.0
"""How long the broker may take to say where a partition begins and ends."""

ASK_SECONDS = 0.5
"""How long a broker that was away may take to say that it is back."""

QUIET_SECONDS = 10.0
"""A trouble that lasts is told again after so long."""

OWN: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",  # what to do about an offset that is gone is decided here, and counted
}
"""What a consumer is told, whatever the spec says."""

DEFAULTS: dict[str, Any] = {
    "fetch.wait.max.ms": 100,
    "fetch.error.backoff.ms": 100,
    "queued.max.messages.kbytes": 16_384,  # read ahead, per partition; librdkafka's own is 64 MB
    "reconnect.backoff.max.ms": 1000,
    "log_level": 2,  # the error callback tells the same, once
}


@dataclass(frozen=True)
class Batch:
    """What one look at a partition gave.

    Attributes:
        messages: Of confluent-kafka, in order, without errors.
        next: The offset to go on at.
        lost: So many offsets were gone before they were read, at most: a compacted topic never had some of them.
    """

    messages: Sequence[Any]
    next: int
    lost: int = 0


class PartitionReader:
    """A consumer that is told where to read; it never joins a group, so nobody else tells it.

    Args:
        topic: The topic.
        partition: The partition's number.
        make_consumer: Returns a consumer; gets the function to call with its errors.
    """

    def __init__(self, topic: str, partition: int, make_consumer: Callable[[Callable[[Any], None]], Any]) -> None:
        from confluent_kafka import KafkaError, KafkaException, TopicPartition

        self._at = lambda offset: TopicPartition(topic, partition, offset)
        self._name = f"{topic}[{partition}]"
        self._unavailable = KafkaException
        self._gone = {KafkaError.OFFSET_OUT_OF_RANGE, KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION}
        self._position: int | None = None
        self._trouble_since: float | None = None
        self._told = 0.0
        self._consumer = make_consumer(self._note)

    @property
    def troubled(self) -> bool:
        """Whether the last that was heard of the broker is an error."""
        return self._trouble_since is not None

    def read(self, position: int, *, limit: int, seconds: float) -> Batch:
        """Return what is there, as soon as something is; an empty batch if nothing comes in time.

        A broker that is down or does not answer is the same as one with nothing to read; what is wrong is logged.

        Args:
            position: Offset of the first message wanted.
            limit: Most messages to return.
            seconds: How long to wait for the first.
        """
        try:
            if position != self._position:  # at first, after a crash, after an error
                self._consumer.assign([self._at(position)])
                self._position = position
            found = self._consumer.consume(1, seconds)
            if found and limit > 1:
                found += self._consumer.consume(limit - 1, 0)
        except self._unavailable as error:
            return self._again(position, error)
        messages = []
        for message in found:
            wrong = message.error()
            if wrong is None:
                messages.append(message)
                continue
            self._position = None  # whatever came after it is read again
            if wrong.code() in self._gone and not messages:
                return self._past_the_gap(position)
            self._note(wrong)
            break
        if messages:
            self._recovered()
            position = messages[-1].offset() + 1
            if self._position is not None:
                self._position = position
        elif self.troubled and self._position is not None:
            self._ask(position)  # no message may come for hours; the broker may be back
        return Batch(messages, position)

    def at_end(self, position: int) -> bool:
        """Return whether nothing more lay in the partition when the broker last said so."""
        try:
            _, high = self._consumer.get_watermark_offsets(self._at(position), cached=True)
        except self._unavailable:
            return False
        return not self.troubled and 0 <= high <= position

    def commit(self, position: int) -> None:
        """Show others how far this partition has been read; nothing here ever reads it back."""
        try:
            self._consumer.commit(offsets=[self._at(position)], asynchronous=True)
        except (self._unavailable, RuntimeError) as error:  # RuntimeError: closed meanwhile
            logger.info("%s: the group's offset was not committed: %s", self._name, error)

    def close(self) -> None:
        """Let go of the broker."""
        self._consumer.close()

    def _ask(self, position: int) -> None:
        try:
            self._consumer.get_watermark_offsets(self._at(position), timeout=ASK_SECONDS, cached=False)
        except self._unavailable:
            return
        self._recovered()

    def _past_the_gap(self, position: int) -> Batch:
        try:
            low, high = self._consumer.get_watermark_offsets(self._at(position), timeout=BOUNDS_SECONDS, cached=False)
        except self._unavailable as error:
            return self._again(position, error)
        if low <= position <= high:
            return Batch((), position)
        if position < low:
            logger.error(
                "%s: offsets %d to %d were deleted before they were read, up to %d messages are lost; going on at %d. "
                "Keep messages longer (retention.ms), or read faster",
                self._name, position, low - 1, low - position, low,
            )  # fmt: skip
            return Batch((), low, lost=low - position)
        logger.error(
            "%s: wanted to go on at %d, but the partition ends at %d: it was cut, or the topic was made anew; reading "
            "all that is there, from %d on",
            self._name, position, high, low,
        )  # fmt: skip
        return Batch((), low)

    def _again(self, position: int, error: Any) -> Batch:
        self._position = None
        self._note(error)
        return Batch((), position)

    def _note(self, error: Any) -> None:
        now = time.monotonic()
        if self._trouble_since is None:
            self._trouble_since = now
        if now - self._told > QUIET_SECONDS:
            self._told = now
            logger.warning(
                "%s: %s, for %.0f s now; trying again, nothing is lost", self._name, error, now - self._trouble_since
            )

    def _recovered(self) -> None:
        if self._trouble_since is not None:
            logger.info("%s: reading again after %.1f s", self._name, time.monotonic() - self._trouble_since)
            self._trouble_since, self._told = None, 0.0
