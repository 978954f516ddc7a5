"""However publishers and collectors of a bucket come and go, no publisher is in together with a collector."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelfleet.errors import FleetBusyError
from modelfleet.releases import bucket_guard
from modelfleet.releases.bucket_guard import collecting, holding
from modelfleet.stores.local import LocalStore


def test_nobody_is_ever_in_together_with_a_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four publishers and two collectors, each again and again; whoever is in looks around."""
    monkeypatch.setattr(bucket_guard, "LOOK_SECONDS", 0.0005)
    inside: list[str] = []
    seen: set[tuple[str, ...]] = set()
    entering = threading.Lock()
    collected = threading.Semaphore(0)
    done = threading.Event()

    def enter(who: str) -> None:
        with entering:
            inside.append(who)
            seen.add(tuple(sorted(inside)))
        time.sleep(0)  # lets another thread in
        with entering:
            inside.remove(who)

    def publish() -> None:
        while not done.is_set():
            with holding(tmp_path):
                enter("publisher")

    def collect() -> None:
        while not done.is_set():
            try:
                with collecting(tmp_path) as turn:
                    assert turn.goes_on()
                    enter("collector")
                collected.release()
            except FleetBusyError:
                continue

    with ThreadPoolExecutor(8) as pool:
        working = [pool.submit(work) for work in (publish, collect, publish, collect, publish, publish)]
        try:
            for _ in range(20):
                assert collected.acquire(timeout=60)
        finally:
            done.set()
        for one in working:
            one.result()
    assert ("collector",) in seen
    assert ("publisher",) in seen
    assert not any("collector" in together and len(together) > 1 for together in seen)
    assert LocalStore(tmp_path).below() == []
