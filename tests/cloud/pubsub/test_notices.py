"""Notices over Pub/Sub, by Google's client library against Google's in-memory server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_jobs.transforms.release_watch import _NewestGeneration
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.notice import Notice, parse_notice
from modelfleet.releases.notifier import listen_at, make_listener
from modelfleet.releases.pubsub_notices import PubsubListener, PubsubNotifier
from modelfleet.spec.notices import PubsubNotices
from tests.cloud.emulators import free_port
from tests.cloud.pubsub.conftest import Pubsub
from tests.releases.notices_contract import NoticesContract, Service, until

BUNDLE = BundleRef(uri="/bundles/a", sha256="0" * 64)


@pytest.fixture
def notices(pubsub: Pubsub) -> PubsubNotices:
    topic, subscription = pubsub.topic("releases")
    return PubsubNotices(kind="pubsub", topic=topic, subscription=subscription)


class TestNotices(NoticesContract):
    @pytest.fixture
    def service(self, pubsub: Pubsub, notices: PubsubNotices, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
        def put(data: bytes) -> None:
            pubsub.publisher.publish(notices.topic, data).result(30)

        def unreachable() -> PubsubNotifier:
            monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
            return PubsubNotifier(notices)

        service = Service(PubsubNotifier(notices), PubsubListener(notices), put, unreachable)
        yield service
        service.listener.close()


def test_what_was_sent_while_nobody_listened_is_heard(notices: PubsubNotices) -> None:
    PubsubNotifier(notices).send(Notice("shop", 7))
    listener = make_listener(notices)
    found: list[bytes] = []
    until(lambda: bool(found.extend(listener.heard())) or bool(found))
    listener.close()
    assert [parse_notice(data) for data in found] == [Notice("shop", 7)]


def test_a_release_is_told_and_the_watch_looks_at_once(notices: PubsubNotices, tmp_path: Path) -> None:
    """From the promotion to the job's side input, with looks an hour apart."""
    ledger = Ledger(tmp_path / "shop" / "releases")
    ledger.publish(bundle=BUNDLE, reason="promote")
    listen_at(ledger.folder, notices)
    watch = _NewestGeneration(str(ledger.folder), 1, 3600.0, notices)
    watch.setup()
    try:
        assert list(watch.process(0)) == [1]
        assert list(watch.process(1)) == []
        ledger.publish(bundle=BUNDLE.model_copy(update={"sha256": "1" * 64}), reason="promote")
        told: list[int] = []
        until(lambda: bool(told.extend(watch.process(2))) or bool(told))
        assert told == [2]
    finally:
        watch.teardown()
