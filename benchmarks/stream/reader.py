"""Reads whole topics after a load: what was sent, what was answered, what died, and when the broker took each.

Nothing reads along while a job is measured: the broker keeps what it took and when (requests with the time they
were handed over, answers with the time the broker had them), so reading afterwards costs the measured job nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.stream.traffic import number_of
from modelfleet.errors import ModelfleetError
from modelfleet.serving.arrow_answer import ArrowAnswer, is_arrow
from modelfleet.serving.message import parse_message

if TYPE_CHECKING:
    from confluent_kafka import Message

BATCH = 10_000
QUIET_SECONDS = 60.0


@dataclass(frozen=True)
class Seen:
    """What one topic holds of a load, message after message.

    Attributes:
        number: (n,) int64, the request's number; -1 where the message does not say.
        ms: (n,) int64, the broker's time, in milliseconds since 1970.
        generation: (n,) int64, what the answer says; 0 where it does not.
        prediction: (n,) float64; NaN where there is none.
    """

    number: NDArray[np.int64]
    ms: NDArray[np.int64]
    generation: NDArray[np.int64]
    prediction: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.number)


def read_topic(servers: str, topic: str, run: str, *, decode: bool = True) -> Seen:
    """Read all that a topic holds of a load.

    Args:
        servers: The brokers.
        topic: The topic, from its first message to its last one now.
        run: The load's name; messages of others are passed over.
        decode: Whether these are messages of anybody; False for requests of ours, whose id can be cut out, which is
            quicker.

    Raises:
        ModelfleetError: The broker says nothing more before the end.
    """
    import msgspec

    class Said(msgspec.Struct):
        request_id: str | None = None
        generation: int | None = None
        prediction: float | str | list[float | None] | None = None

    decoder = msgspec.json.Decoder(Said)
    mine = f"{run}-"
    parts: list[tuple[Any, ...]] = []

    def of_batch(messages: Sequence[Message]) -> None:
        for message in messages:
            value = message.value()
            if decode and is_arrow(value):
                answer = ArrowAnswer.from_message(value)
                said = Said(answer.request_id, answer.generation, answer.rows.column("prediction").to_pylist())
            else:
                said = decoder.decode(value) if decode else Said(_id_in(value))
            if said.request_id is None or said.request_id.startswith(mine):
                number = -1 if said.request_id is None else number_of(said.request_id)
                parts.append((number, message.timestamp()[1], said.generation or 0, _first(said.prediction)))

    _consume(servers, topic, of_batch)
    columns = list(zip(*parts, strict=True)) or [(), (), (), ()]
    kinds = (np.int64, np.int64, np.int64, np.float64)
    return Seen(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))


def count_messages(servers: str, topic: str) -> int:
    """Return the number of messages a topic has taken so far."""
    from confluent_kafka import Consumer

    consumer = Consumer({"bootstrap.servers": servers, "group.id": "benchmark"})
    try:
        return sum(last for *_, last in _ends(consumer, topic))
    finally:
        consumer.close()


def _consume(servers: str, topic: str, take: Callable[[Sequence[Message]], None]) -> None:
    from confluent_kafka import Consumer, TopicPartition

    settings = {"bootstrap.servers": servers, "group.id": "benchmark", "enable.auto.commit": False}
    consumer = Consumer(settings | {"auto.offset.reset": "earliest", "enable.partition.eof": False})
    try:
        for partition, first, last in _ends(consumer, topic):
            consumer.assign([TopicPartition(topic, partition, first)])
            at = first
            while at < last:
                # As many as there are: it waits until it has that many
                messages = consumer.consume(min(BATCH, last - at), timeout=QUIET_SECONDS)
                good = [one for one in messages if one.error() is None]
                if not good:
                    raise ModelfleetError(
                        f"topic '{topic}', partition {partition}: nothing after offset {at} of {last}"
                    )
                take(good)
                at = (good[-1].offset() or 0) + 1
    finally:
        consumer.close()


def _ends(consumer: Any, topic: str) -> Iterator[tuple[int, int, int]]:
    """Yield each partition with its first offset and the one after its last."""
    from confluent_kafka import TopicPartition

    listed = _asked(lambda: consumer.list_topics(topic, timeout=10).topics[topic].partitions)
    for number in sorted(listed):
        partition = TopicPartition(topic, number)
        first, last = _asked(partial(consumer.get_watermark_offsets, partition, timeout=10))
        yield number, first, last


def _asked(question: Callable[[], Any]) -> Any:
    """Ask the broker, again and again while it does not answer: on a busy machine it may fall out of its own cluster.

    Raises:
        KafkaException: It does not answer for long.
    """
    from confluent_kafka import KafkaException

    deadline = time.monotonic() + QUIET_SECONDS
    while True:
        try:
            return question()
        except KafkaException:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def _first(prediction: object) -> float:
    """Return a prediction as a number; of a chunk's, the first: all of a chunk are by one generation."""
    if isinstance(prediction, list):
        prediction = next((one for one in prediction if one is not None), None)
    return float(prediction) if isinstance(prediction, float | int) else float("nan")


def _id_in(value: bytes) -> str:
    """Return the request id of a message of ours, which begins with it where it is JSON."""
    return parse_message(value).request_id if is_arrow(value) else value[16 : value.index(b'"', 16)].decode()
