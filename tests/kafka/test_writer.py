"""What is written is on the broker when its bundle ends, or the bundle fails."""

from __future__ import annotations

import socket
import threading

import pytest

from beam_jobs.transforms import kafka_producers, kafka_writer
from beam_jobs.transforms.kafka_writer import KafkaWriteError, Message, TopicLimit, _Produce
from modelfleet.spec.kafka_client import KafkaClient
from tests.kafka.broker import Broker


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> KafkaClient:
    """A Kafka that is not there, and a writer that loses its patience soon."""
    monkeypatch.setattr(kafka_writer, "DELIVERY_SECONDS", 0.2)
    monkeypatch.setattr(kafka_writer, "ASK_SECONDS", 0.1)
    monkeypatch.setitem(kafka_producers.OWN, "message.timeout.ms", 200)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return KafkaClient(f"127.0.0.1:{probe.getsockname()[1]}")


def write(produce: _Produce, *messages: Message | list[Message]) -> None:
    """Write one bundle."""
    produce.start_bundle()
    for message in messages:
        produce.process(message)
    produce.finish_bundle()


def test_a_bundle_that_the_broker_does_not_take_fails(nowhere: KafkaClient) -> None:
    produce = _Produce(nowhere, "answers", 10_000)
    produce.setup()
    with pytest.raises(KafkaWriteError, match=r"topic 'answers': 2 messages were not taken.*; they are sent again"):
        write(produce, (b"1", b"one"), (b"2", b"two"))
    with pytest.raises(KafkaWriteError, match="3 messages were not taken"):
        write(produce, [(b"1", b"one"), (b"2", b"two")], (b"3", b"three"))
    produce.teardown()


def test_an_empty_bundle_needs_no_broker(nowhere: KafkaClient) -> None:
    produce = _Produce(nowhere, "answers", TopicLimit(nowhere, "answers"))
    produce.setup()
    write(produce)
    produce.teardown()


def test_a_limit_that_cannot_be_asked_for_fails_the_bundle(nowhere: KafkaClient) -> None:
    with pytest.raises(KafkaWriteError, match="topic 'answers': its largest message is not known"):
        TopicLimit(nowhere, "answers").ask()


@pytest.mark.kafka
def test_what_one_producer_gives_up_the_next_one_sends(
    kafka: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A producer may lose a partition for good whose leader was away for a moment; a bundle loses nothing."""
    monkeypatch.setitem(kafka_producers.OWN, "message.timeout.ms", 300)
    topic = kafka.topic("answers")
    produce = _Produce(KafkaClient(kafka.address.bootstrap_servers), topic, 10_000)
    produce.setup()
    messages: list[Message] = [(str(number).encode(), b"x") for number in range(20)]
    write(produce, *messages[:5])
    with kafka.paused():
        threading.Timer(2, kafka.resume).start()
        write(produce, *messages[5:])
    produce.teardown()
    assert "a new producer tries" in caplog.text
    assert {(message.key(), message.value()) for message in kafka.read(topic)} == set(messages)
