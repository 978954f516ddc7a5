"""Which partitions are read, and from where; and how one process shares its consumers."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from beam_jobs.transforms import kafka_readers
from beam_jobs.transforms.kafka_partitions import Start, _NewPartitions
from beam_jobs.transforms.kafka_position import Partition
from beam_jobs.transforms.kafka_readers import KafkaReaders, Pace
from modelfleet.spec.kafka_client import KafkaClient
from tests.kafka.broker import Broker

CLIENT = KafkaClient("127.0.0.1:1")


@dataclass
class Bag:
    """The state of one key, as Beam gives it."""

    content: list[tuple[str, int]] = field(default_factory=list)

    def read(self) -> list[tuple[str, int]]:
        return list(self.content)

    def add(self, value: tuple[str, int]) -> None:
        self.content.append(value)

    def clear(self) -> None:
        self.content.clear()


def look(broker: Broker, topic: str, seen: Bag, start: Start = "earliest") -> list[Partition]:
    """Look for partitions once, as a new process does."""
    client = KafkaClient(broker.address.bootstrap_servers)
    finder = _NewPartitions(client, topic, "g", start)
    try:
        return list(finder.process(("", 0), seen))
    finally:
        finder.teardown()


@pytest.mark.kafka
@pytest.mark.parametrize(("start", "first"), [("earliest", 0), ("latest", 3)])
def test_each_partition_comes_once_and_later_ones_from_their_beginning(kafka: Broker, start: Start, first: int) -> None:
    topic, seen = kafka.topic(), Bag()
    kafka.send(topic, [b"1", b"2", b"3"])
    assert look(kafka, topic, seen, start) == [(topic, 0, first)]
    assert look(kafka, topic, seen, start) == []
    kafka.add_partitions(topic, 2)
    kafka.send(topic, [b"4"], partition=1)
    assert look(kafka, topic, seen, start) == [(topic, 1, 0)]


@pytest.mark.kafka
def test_what_retention_has_deleted_before_the_start_does_not_count_as_lost(kafka: Broker) -> None:
    topic = kafka.topic()
    kafka.send(topic, [b"1", b"2", b"3"])
    kafka.delete_before(topic, 0, 2)
    assert look(kafka, topic, Bag()) == [(topic, 0, 2)]


@pytest.mark.kafka
def test_a_topic_the_spec_goes_back_to_is_found_again(kafka: Broker) -> None:
    """Its readers ended when the spec named the other one."""
    one, other, seen = kafka.topic(), kafka.topic(), Bag()
    assert [partition[0] for topic in (one, other, one) for partition in look(kafka, topic, seen)] == [one, other, one]


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_asked_for_again(kafka: Broker, caplog: pytest.LogCaptureFixture) -> None:
    seen = Bag()
    assert look(kafka, "nowhere", seen) == []
    assert seen.content == []
    assert "'nowhere' are not known yet, asking again" in caplog.text


def test_the_groups_offsets_are_due_once_a_second_and_only_when_they_have_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(kafka_readers.time, "monotonic", lambda: clock[0])
    readers, key = KafkaReaders(), ("k", "g", "t", 0)
    commit = readers.read_to(key, 5)
    assert commit is not None
    commit()
    assert readers.read_to(key, 6) is None
    clock[0] += kafka_readers.COMMIT_SECONDS
    later = readers.read_to(key, 7)
    assert later is not None
    later()
    clock[0] += kafka_readers.COMMIT_SECONDS
    assert readers.read_to(key, 7) is None


def test_empty_partitions_do_not_keep_busy_ones_waiting() -> None:
    readers, pace = KafkaReaders(), Pace(wait_seconds=0.1, busy_wait_seconds=0.01)
    readers.open()
    assert readers.patience(pace) == 0.1
    for number in range(2):
        readers.get(CLIENT, "g", "t", number)
    assert readers.patience(pace) == pytest.approx(0.05)
    readers.found_some()
    assert readers.patience(pace) == pytest.approx(0.005)
    readers.close()


def test_the_last_user_closes_the_consumers() -> None:
    readers = KafkaReaders()
    readers.open()
    readers.open()
    _, reader = readers.get(CLIENT, "g", "t", 0)
    readers.close()
    assert readers.get(CLIENT, "g", "t", 0)[1] is reader
    readers.close()
    with pytest.raises(RuntimeError, match="closed"):
        reader.read(0, limit=1, seconds=0)
    readers.open()
    assert readers.get(CLIENT, "g", "t", 0)[1] is not reader
    readers.close()
