"""What notices over any message service promise; imported by the tests of each service."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from modelfleet.errors import NoticeError, error_named
from modelfleet.releases import kafka_notices, pubsub_notices
from modelfleet.releases.notice import Notice, parse_notice
from modelfleet.releases.notifier import Listener, Notifier


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.02)


@dataclass
class Service:
    """A message service with its two sides."""

    notifier: Notifier
    listener: Listener
    put: Callable[[bytes], None]
    unreachable: Callable[[], Notifier]

    def heard(self, count: int) -> list[bytes]:
        """Wait for so many messages."""
        found: list[bytes] = []
        until(lambda: len(found) >= count or bool(found.extend(self.listener.heard())) or len(found) >= count)
        return found


class NoticesContract:
    """Run by a class that gives the fixture ``service``."""

    def test_what_is_sent_is_heard_once(self, service: Service) -> None:
        sent = [Notice("shop", generation) for generation in (1, 2, 3)]
        for notice in sent:
            service.notifier.send(notice)
        assert sorted(map(str, map(parse_notice, service.heard(3)))) == sorted(map(str, sent))
        service.notifier.send(Notice("shop", 4))
        assert [parse_notice(data) for data in service.heard(1)] == [Notice("shop", 4)]

    def test_whatever_others_send_is_heard_as_it_is(self, service: Service) -> None:
        sent = [b"\xff\x00", b"{}", b"x" * 10_000]
        for data in sent:
            service.put(data)
        assert sorted(service.heard(3)) == sorted(sent)

    def test_hearing_nothing_does_not_wait_and_closing_twice_is_fine(self, service: Service) -> None:
        assert list(service.listener.heard()) == []
        service.listener.close()
        service.listener.close()

    def test_a_service_that_is_away_is_an_error_that_may_pass(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for module in (kafka_notices, pubsub_notices):
            monkeypatch.setattr(module, "SEND_SECONDS", 0.5)
        with pytest.raises(NoticeError) as caught:
            service.unreachable().send(Notice("shop", 1))
        assert caught.value.exit_code == 4
        assert error_named("NoticeError", "x") is not None
