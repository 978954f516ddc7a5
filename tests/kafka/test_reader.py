"""What a reader does about gaps and brokers that are away: the same for the real consumer and for the fake one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Consumer

from beam_jobs.transforms.kafka_reader import DEFAULTS, OWN, PartitionReader
from tests.kafka.broker import Broker, until
from tests.kafka.fake_consumer import FakePartition


@dataclass
class Readable:
    """A partition and a reader of it, whichever kind they are."""

    reader: PartitionReader
    write: Callable[[Sequence[bytes]], None]
    delete_before: Callable[[int], None]

    def all_from(self, position: int, count: int) -> list[bytes]:
        found: list[bytes] = []

        def enough() -> bool:
            nonlocal position
            batch = self.reader.read(position, limit=100, seconds=0.2)
            found.extend(message.value() for message in batch.messages)
            position = batch.next
            return len(found) >= count

        until(enough)
        return found


@pytest.fixture
def fake() -> Readable:
    partition = FakePartition()

    def delete_before(offset: int) -> None:
        partition.low = offset

    return Readable(PartitionReader("t", 0, partition.consumer), partition.values.extend, delete_before)


@pytest.fixture
def real(kafka: Broker) -> Iterator[Readable]:
    topic = kafka.topic()

    def consumer(note: Callable[[Any], None]) -> Consumer:
        return Consumer({**DEFAULTS, **OWN, **kafka.configuration, "group.id": "g", "error_cb": note})

    def delete_before(offset: int) -> None:
        kafka.delete_before(topic, 0, offset)

    reader = PartitionReader(topic, 0, consumer)
    yield Readable(reader, lambda values: kafka.send(topic, values), delete_before)
    reader.close()


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kafka)])
def readable(request: pytest.FixtureRequest) -> Readable:
    found: Readable = request.getfixturevalue(request.param)
    return found


def test_it_reads_from_where_it_is_told_again_and_again(readable: Readable) -> None:
    readable.write([b"0", b"1", b"2"])
    assert readable.all_from(0, 3) == [b"0", b"1", b"2"]
    assert readable.all_from(1, 2) == [b"1", b"2"]
    readable.write([b"3"])
    assert readable.all_from(3, 1) == [b"3"]


def test_nothing_there_is_an_empty_batch_at_the_same_place(readable: Readable) -> None:
    readable.write([b"0"])
    assert readable.all_from(0, 1) == [b"0"]
    batch = readable.reader.read(1, limit=10, seconds=0.01)
    assert (list(batch.messages), batch.next, batch.lost) == ([], 1, 0)
    until(lambda: readable.reader.at_end(1))


def test_no_more_than_the_limit_at_once(readable: Readable) -> None:
    readable.write([b"%d" % number for number in range(10)])
    readable.all_from(0, 10)
    sizes = []

    def read_some() -> bool:
        position = sum(sizes)
        sizes.append(len(readable.reader.read(position, limit=4, seconds=0.2).messages))
        return sum(sizes) == 10

    until(read_some)
    assert max(sizes) == 4


def test_deleted_offsets_are_counted_and_reading_goes_on(readable: Readable, caplog: pytest.LogCaptureFixture) -> None:
    readable.write([b"%d" % number for number in range(5)])
    readable.delete_before(3)
    lost: list[int] = []

    def past_the_gap() -> bool:
        batch = readable.reader.read(1, limit=10, seconds=0.2)
        lost.append(batch.lost)
        return batch.next == 3

    until(past_the_gap)
    assert sum(lost) == 2
    assert "offsets 1 to 2 were deleted before they were read" in caplog.text
    assert readable.all_from(3, 2) == [b"3", b"4"]


def test_a_topic_made_anew_is_read_from_its_beginning(readable: Readable, caplog: pytest.LogCaptureFixture) -> None:
    readable.write([b"new"])
    until(lambda: readable.reader.read(1000, limit=10, seconds=0.2).next == 0)
    assert "wanted to go on at 1000, but the partition ends at 1" in caplog.text
    assert readable.all_from(0, 1) == [b"new"]


def test_a_broker_that_is_down_is_nothing_to_read_and_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    partition = FakePartition([b"0"])
    reader = PartitionReader("t", 0, partition.consumer)
    partition.down = True
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            assert reader.read(0, limit=10, seconds=0).next == 0
        assert reader.troubled
        assert not reader.at_end(1)
        partition.down = False
        assert reader.read(0, limit=10, seconds=0).next == 1
    assert not reader.troubled
    assert caplog.text.count("trying again, nothing is lost") == 1
    assert "reading again" in caplog.text


def test_a_broker_that_is_back_is_noticed_without_a_message() -> None:
    partition = FakePartition([], down=True)
    reader = PartitionReader("t", 0, partition.consumer)
    reader.read(0, limit=10, seconds=0)
    assert reader.troubled
    partition.down = False
    reader.read(0, limit=10, seconds=0)
    assert reader.at_end(0)


def test_bounds_that_cannot_be_had_are_asked_for_again() -> None:
    partition = FakePartition([b"0", b"1"], low=1)
    consumers = []

    def consumer(note: Callable[[Any], None]) -> Any:
        made = partition.consumer(note)
        bounds = made.get_watermark_offsets

        def away_once(*arguments: Any, **named: Any) -> tuple[int, int]:
            made.get_watermark_offsets = bounds  # type: ignore[method-assign]
            partition.down = True
            try:
                return bounds(*arguments, **named)
            finally:
                partition.down = False

        made.get_watermark_offsets = away_once  # type: ignore[method-assign]
        consumers.append(made)
        return made

    reader = PartitionReader("t", 0, consumer)
    assert reader.read(0, limit=10, seconds=0).next == 0
    assert reader.read(0, limit=10, seconds=0).lost == 1
