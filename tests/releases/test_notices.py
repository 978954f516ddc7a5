"""Notices: the same contract over Kafka, on a real broker, and over Pub/Sub, on a fake; and what must never matter."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.engines.loopback import free_port
from modelfleet.errors import NoticeError
from modelfleet.releases import kafka_notices
from modelfleet.releases.kafka_notices import KafkaListener, KafkaNotifier
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.notice import MAX_BYTES, Notice, parse_notice
from modelfleet.releases.notifier import PLACE, Notifier, listen_at, make_listener
from modelfleet.releases.pubsub_notices import PubsubListener, PubsubNotifier
from modelfleet.spec.kafka_client import ENVIRONMENT
from modelfleet.spec.notices import KafkaNotices, PubsubNotices
from tests.releases.fake_pubsub import FakePubsub
from tests.releases.notices_contract import NoticesContract, Service, until

BUNDLE = BundleRef(uri="/bundles/a", sha256="0" * 64)


def over_kafka(request: pytest.FixtureRequest) -> Service:
    broker = request.getfixturevalue("kafka")
    notices = KafkaNotices(
        kind="kafka", bootstrap_servers=broker.address.bootstrap_servers, topic=broker.topic("notices")
    )

    def put(data: bytes) -> None:
        producer = Producer(broker.configuration)
        producer.produce(notices.topic, data)
        producer.flush(30)

    def unreachable() -> Notifier:
        return KafkaNotifier(notices.model_copy(update={"bootstrap_servers": f"127.0.0.1:{free_port()}"}))

    return Service(KafkaNotifier(notices), KafkaListener(notices), put, unreachable)


def over_pubsub(request: pytest.FixtureRequest) -> Service:
    notices = PubsubNotices(
        kind="pubsub", topic="projects/my-shop/topics/releases", subscription="projects/my-shop/subscriptions/shop"
    )
    fake = FakePubsub(notices.topic, notices.subscription)
    away = FakePubsub(notices.topic, notices.subscription, away=True)

    def put(data: bytes) -> None:
        fake.publish(notices.topic, data).result()

    return Service(
        PubsubNotifier(notices, fake), PubsubListener(notices, fake), put, lambda: PubsubNotifier(notices, away)
    )


class TestNotices(NoticesContract):
    @pytest.fixture(
        params=[pytest.param(over_kafka, marks=pytest.mark.kafka, id="kafka"), pytest.param(over_pubsub, id="pubsub")]
    )
    def service(self, request: pytest.FixtureRequest) -> Iterator[Service]:
        service = request.param(request)
        yield service
        service.listener.close()


@pytest.mark.kafka
def test_a_listener_hears_again_after_the_broker_was_away(kafka: Any) -> None:
    notices = KafkaNotices(
        kind="kafka", bootstrap_servers=kafka.address.bootstrap_servers, topic=kafka.topic("notices")
    )
    listener = make_listener(notices)
    kafka.kill()
    assert list(listener.heard()) == []
    kafka.start()
    KafkaNotifier(notices).send(Notice("shop", 9))
    found: list[bytes] = []
    until(lambda: bool(found.extend(listener.heard())) or b'{"fleet": "shop", "generation": 9}' in found)
    listener.close()


def test_a_pull_that_broke_off_is_taken_up_again(caplog: pytest.LogCaptureFixture) -> None:
    notices = PubsubNotices(
        kind="pubsub", topic="projects/my-shop/topics/releases", subscription="projects/my-shop/subscriptions/shop"
    )
    fake = FakePubsub(notices.topic, notices.subscription)
    listener = PubsubListener(notices, fake)
    assert list(listener.heard()) == []
    fake.pulls[-1].break_off(ConnectionError("gone away"))
    PubsubNotifier(notices, fake).send(Notice("shop", 1))  # kept by the service
    assert list(listener.heard()) == []
    assert "gone away" in caplog.text
    until(lambda: bool(listener.heard()))
    assert all(message.acknowledged for message in fake.waiting)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 4000,
        b'{"fleet": "shop"}',
        b'{"fleet": 1, "generation": 1}',
        b'{"fleet": "shop", "generation": true}',
        b'{"fleet": "shop", "generation": 0}',
        b'{"fleet": "shop", "generation": 1.5}',
        b'{"fleet": "shop", "generation": 1, "note": "' + b"x" * MAX_BYTES + b'"}',
    ],
)
def test_what_is_no_notice_is_none(data: bytes) -> None:
    assert parse_notice(data) is None


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_a_notice_or_none(data: bytes) -> None:
    assert parse_notice(data) is None


@given(st.text(max_size=50), st.integers(1, 10**12))
def test_a_notice_is_read_back_and_one_of_a_later_version_too(fleet: str, generation: int) -> None:
    notice = Notice(fleet, generation)
    assert parse_notice(notice.to_bytes()) == notice
    assert parse_notice(notice.to_bytes()[:-1] + b', "later": 1}') == notice


def test_a_notice_that_cannot_be_sent_never_fails_a_release(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kafka_notices, "SEND_SECONDS", 0.2)
    unreachable = KafkaNotices(kind="kafka", bootstrap_servers=f"127.0.0.1:{free_port()}", topic="t")
    listen_at(ledger.folder, unreachable)
    with caplog.at_level(logging.WARNING):
        assert ledger.publish(bundle=BUNDLE, reason="promote").generation == 1
    assert "no notice of generation 1: topic 't'" in caplog.text
    (ledger.folder.parent / PLACE).write_text('{"kind": "pigeon"}')
    with caplog.at_level(logging.WARNING):
        assert ledger.publish(bundle=BUNDLE, reason="promote").generation == 2
    assert "cannot be read" in caplog.text
    listen_at(ledger.folder, None)
    caplog.clear()
    assert ledger.publish(bundle=BUNDLE, reason="promote").generation == 3
    assert caplog.text == ""


def test_secrets_come_from_the_environment_and_broken_ones_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    notices = KafkaNotices(
        kind="kafka", bootstrap_servers="a:1", topic="t", config={"client.id": "x", "sasl.username": "y"}
    )
    monkeypatch.setenv(ENVIRONMENT, '{"sasl.username": "z"}')
    assert kafka_notices._configuration(notices, {"group.id": "g"}) == {
        "bootstrap.servers": "a:1", "client.id": "x", "sasl.username": "z", "group.id": "g",
    }  # fmt: skip
    monkeypatch.setenv(ENVIRONMENT, "secret")
    with pytest.raises(NoticeError, match=r"topic 't' of a:1: \$MODELFLEET_KAFKA_CONFIG must hold a JSON object"):
        KafkaNotifier(notices).send(Notice("shop", 1))


@pytest.mark.kafka
def test_every_release_is_told_where_the_job_listens(ledger: Ledger, kafka: Any) -> None:
    notices = KafkaNotices(
        kind="kafka", bootstrap_servers=kafka.address.bootstrap_servers, topic=kafka.topic("notices")
    )
    listen_at(ledger.folder, notices)
    listener = make_listener(notices)
    release = ledger.publish(bundle=BUNDLE, reason="rollback", fleet="shop")
    found: list[bytes] = []
    until(lambda: bool(found.extend(listener.heard())) or bool(found))
    listener.close()
    assert parse_notice(found[0]) == Notice("shop", release.generation)
