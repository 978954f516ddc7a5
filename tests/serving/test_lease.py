"""Leases appear whole, expire, and say who serves what."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelfleet.serving.lease import Lease, LeaseFolder, LeaseKeeper, Refusal, process_name

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def lease(process: str = "host-1-aa", *, at: datetime = NOW, serving: int | None = 3, seconds: float = 30) -> Lease:
    return Lease(
        process=process,
        fleet="income",
        job="job",
        host="host",
        pid=1,
        serving=serving,
        serving_since=at,
        refused=(Refusal(generation=4, reason="truncated"),),
        renewed_at=at,
        expires_at=at + timedelta(seconds=seconds),
    )


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        threading.Event().wait(0.005)


def test_a_lease_is_read_back_and_expires(tmp_path: Path) -> None:
    folder = LeaseFolder(tmp_path / "leases")
    assert folder.live(NOW) == []
    folder.write(lease())
    assert folder.live(NOW + timedelta(seconds=29)) == [lease()]
    assert folder.live(NOW + timedelta(seconds=30)) == []
    assert folder.all() == [lease()]


def test_leases_of_several_processes_stand_side_by_side(tmp_path: Path) -> None:
    folder = LeaseFolder(tmp_path)
    for process in ("b", "a", "../../etc/passwd"):
        folder.write(lease(process))
    assert [found.process for found in folder.live(NOW)] == ["../../etc/passwd", "a", "b"]
    assert all(path.parent == tmp_path for path in tmp_path.rglob("*"))
    folder.remove("a")
    folder.remove("a")
    assert [found.process for found in folder.live(NOW)] == ["../../etc/passwd", "b"]


@pytest.mark.parametrize("content", [b"", b'{"process": "x"', b"\xff\xfe", b"[]"])
def test_a_lease_that_cannot_be_read_hides_no_other(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    folder = LeaseFolder(tmp_path)
    folder.write(lease())
    (tmp_path / "broken.json").write_bytes(content)
    assert folder.live(NOW) == [lease()]
    assert "broken.json" in caplog.text


def test_leases_of_killed_processes_are_swept_after_a_while(tmp_path: Path) -> None:
    folder = LeaseFolder(tmp_path)
    folder.write(lease("old", at=NOW - timedelta(hours=2)))
    folder.write(lease("recent", at=NOW - timedelta(minutes=2)))
    folder.sweep(NOW)
    assert [found.process for found in folder.all()] == ["recent"]


def test_nothing_half_written_is_ever_read(tmp_path: Path) -> None:
    folder = LeaseFolder(tmp_path)
    folder.write(lease())
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            folder.write(lease())

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(folder.all() == [lease()] for _ in range(300))
    finally:
        stop.set()
        writer.join()


def test_the_keeper_renews_on_time_at_once_when_asked_and_removes_at_the_end(tmp_path: Path) -> None:
    folder = LeaseFolder(tmp_path)
    serving = [1]
    keeper = LeaseKeeper(folder, lambda: lease(serving=serving[0], at=datetime.now(UTC)), every_seconds=0.01)
    keeper.start()
    first = folder.all()[0].renewed_at
    until(lambda: folder.all()[0].renewed_at > first)
    keeper.close()
    keeper.close()
    assert folder.all() == []

    slow = LeaseKeeper(folder, lambda: lease(serving=serving[0]), every_seconds=3600)
    slow.start()
    serving[0] = 2
    slow.renew()
    until(lambda: folder.all()[0].serving == 2)
    slow.close()
    assert folder.all() == []


def test_a_keeper_that_cannot_write_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    blocked = tmp_path / "leases"
    blocked.write_text("a file where the folder should be")
    keeper = LeaseKeeper(LeaseFolder(blocked), lease, every_seconds=0.01)
    keeper.start()
    assert "could not be renewed" in caplog.text
    blocked.unlink()
    until(lambda: LeaseFolder(blocked).all() == [lease()])
    keeper.close()


def test_process_names_differ_and_are_safe_as_file_names() -> None:
    names = {process_name() for _ in range(100)}
    assert len(names) == 100
    assert all(name.replace("-", "").replace(".", "").isalnum() for name in names)
