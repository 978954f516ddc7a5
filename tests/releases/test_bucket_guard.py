"""What publishers and the collector of a bucket, for which a folder stands here, tell each other, and whom it stops."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from modelfleet.errors import FleetBusyError, StoreUnavailableError
from modelfleet.releases import bucket_guard
from modelfleet.releases.bucket_guard import collecting, holding
from modelfleet.releases.guard_files import COLLECTING, HOLDS
from modelfleet.stores.local import LocalStore


class Clock:
    """Stands in for the module ``time``: a sleep takes no time, and something happens in it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.happens: list[Callable[[], object]] = []

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.happens:
            self.happens.pop(0)()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bucket_guard, "time", clock)
    return clock


def files(root: Path) -> set[str]:
    return {entry.name for entry in LocalStore(root).below()}


def age(path: Path, by: timedelta) -> None:
    os.utime(path, (path.stat().st_mtime - by.total_seconds(),) * 2)


def test_publishers_do_not_wait_for_each_other_and_leave_nothing(tmp_path: Path) -> None:
    with holding(tmp_path), holding(tmp_path):
        assert len(files(tmp_path)) == 2
    assert files(tmp_path) == set()


def test_a_publisher_waits_until_the_collector_has_ended(tmp_path: Path, clock: Clock) -> None:
    collector = collecting(tmp_path)
    collector.__enter__()
    seen = []

    def end() -> None:
        seen.append(files(tmp_path))
        collector.__exit__(None, None, None)

    clock.happens = [lambda: None, end]
    with holding(tmp_path):
        assert len(files(tmp_path)) == 1
    assert seen == [{COLLECTING}]  # whoever waits holds nothing, so that the collector need not wait for it


def test_a_publisher_gives_up_and_says_who_collects(tmp_path: Path, clock: Clock) -> None:
    with (
        collecting(tmp_path),
        pytest.raises(FleetBusyError, match=rf"process {os.getpid()} on .* removes bundles, .* within 90 s.*try again"),
        holding(tmp_path),
    ):
        raise AssertionError("must not get in")
    assert files(tmp_path) == set()


def test_the_collector_waits_until_publishers_have_ended(tmp_path: Path, clock: Clock) -> None:
    publisher = holding(tmp_path)
    publisher.__enter__()
    clock.happens = [lambda: None, lambda: publisher.__exit__(None, None, None)]
    with collecting(tmp_path) as turn:
        assert files(tmp_path) == {COLLECTING}
        assert turn.goes_on()
    assert files(tmp_path) == set()


def test_the_collector_gives_up_and_says_who_publishes(tmp_path: Path, clock: Clock) -> None:
    with holding(tmp_path):
        with (
            pytest.raises(FleetBusyError, match=rf"being published.*20 s, by process {os.getpid()} on .*no bundle was"),
            collecting(tmp_path),
        ):
            raise AssertionError("must not get in")
        assert COLLECTING not in files(tmp_path)


def test_of_two_collectors_one_is_told_of_the_other(tmp_path: Path) -> None:
    with collecting(tmp_path) as turn:
        with (
            pytest.raises(FleetBusyError, match=r"collecting\.json: process .* removes bundles of this fleet; let it"),
            collecting(tmp_path),
        ):
            raise AssertionError("must not get in")
        assert turn.goes_on()
    assert files(tmp_path) == set()


def test_a_collector_that_ends_while_another_looks_lets_it_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = collecting(tmp_path)
    first.__enter__()
    write = LocalStore.write

    def ended(store: LocalStore, name: str, content: bytes) -> None:
        monkeypatch.undo()
        first.__exit__(None, None, None)
        write(store, name, content)

    monkeypatch.setattr(LocalStore, "write", ended)
    with collecting(tmp_path) as turn:
        assert turn.goes_on()


def test_a_collector_that_died_stops_nobody_for_long(tmp_path: Path, clock: Clock) -> None:
    died = collecting(tmp_path)
    died.__enter__()
    age(tmp_path / COLLECTING, timedelta(seconds=bucket_guard.DEAD_SECONDS - 30))
    with pytest.raises(FleetBusyError), holding(tmp_path):
        pass
    with pytest.raises(FleetBusyError), collecting(tmp_path):
        pass
    age(tmp_path / COLLECTING, timedelta(seconds=31))
    with holding(tmp_path):
        assert COLLECTING in files(tmp_path)
    with collecting(tmp_path) as turn:
        assert turn.goes_on()
        with pytest.raises(FleetBusyError), holding(tmp_path):
            pass
    assert files(tmp_path) == set()
    del died


def test_a_collector_that_was_taken_over_stops_and_leaves_the_other_s_word(tmp_path: Path) -> None:
    with collecting(tmp_path) as slow:
        age(tmp_path / COLLECTING, timedelta(hours=1))
        with collecting(tmp_path) as other:
            with pytest.raises(FleetBusyError, match=r"was removing bundles, and now process .* does: stopped before"):
                slow.goes_on()
            assert other.goes_on()
        with pytest.raises(FleetBusyError, match="there is no such file any more"):
            slow.goes_on()


def test_a_collector_whose_word_is_not_understood_is_one(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / COLLECTING).write_bytes(b"{")
    with pytest.raises(FleetBusyError, match="on an unknown host"), holding(tmp_path):
        pass
    with pytest.raises(FleetBusyError, match="on an unknown host"), collecting(tmp_path):
        pass


def test_a_collector_whose_success_was_lost_recognises_its_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = LocalStore.create

    def twice(store: LocalStore, name: str, content: bytes) -> None:
        create(store, name, content)
        create(store, name, content)

    monkeypatch.setattr(LocalStore, "create", twice)
    with collecting(tmp_path) as turn:
        assert turn.goes_on()
    assert files(tmp_path) == set()


def test_a_publisher_that_died_counts_for_nothing_after_a_day(tmp_path: Path, clock: Clock) -> None:
    died = holding(tmp_path)
    died.__enter__()
    (hold,) = (tmp_path / HOLDS).iterdir()
    age(hold, timedelta(hours=23))
    with pytest.raises(FleetBusyError), collecting(tmp_path):
        pass
    age(hold, timedelta(hours=2))
    with collecting(tmp_path):
        assert files(tmp_path) == {COLLECTING}
    del died


def test_a_turn_is_short_but_has_time_for_one_bundle(tmp_path: Path, clock: Clock) -> None:
    with collecting(tmp_path) as turn:
        clock.now += bucket_guard.TURN_SECONDS
        assert turn.goes_on()
        assert not turn.goes_on()
        assert not turn.over
    with collecting(tmp_path) as turn:
        clock.now += bucket_guard.LAST_SECONDS + 1
        with pytest.raises(FleetBusyError, match="could not be read within 120 s"):
            turn.goes_on()
    assert files(tmp_path) == {COLLECTING}  # too late to be sure whose it is


def test_what_was_done_is_done_even_if_the_hold_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreUnavailableError("away")

    with holding(tmp_path):
        monkeypatch.setattr(LocalStore, "remove", away)
    assert len(files(tmp_path)) == 1
