"""Status and history put the ledger and the leases side by side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from modelfleet.releases import promote
from modelfleet.serving.lease import Lease, Refusal
from modelfleet.serving.status import fleet_history, fleet_status

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def write_lease(
    shop: Any, process: str, serving: int | None, *refused: Refusal, age: float = 4, lasts: float = 30
) -> None:
    renewed = NOW - timedelta(seconds=age)
    shop.leases.write(
        Lease(
            process=process,
            fleet="sales",
            job="job",
            host="h",
            pid=1,
            serving=serving,
            serving_since=renewed,
            refused=refused,
            renewed_at=renewed,
            expires_at=renewed + timedelta(seconds=lasts),
        )
    )


def test_a_fleet_without_a_release(shop: Any) -> None:
    status = fleet_status(shop.home, "sales", now=NOW)
    assert (status.generation, status.processes, status.problems) == (None, (), ())
    assert "no release yet" in status.as_text()
    assert fleet_history(shop.home, "sales") == []


def test_who_serves_what_and_who_refused_what(shop: Any) -> None:
    for _ in range(2):
        shop.release_of(add=1)
    write_lease(shop, "p-new", 2)
    write_lease(shop, "p-old", 1, Refusal(generation=2, reason="truncated"))
    write_lease(shop, "p-gone", 1, age=31)
    status = fleet_status(shop.home, "sales", now=NOW)
    assert [(p.process, p.serving, p.current, p.age_seconds) for p in status.processes] == [
        ("p-new", 2, True, 4.0),
        ("p-old", 1, False, 4.0),
    ]
    text = status.as_text()
    assert "fleet sales: generation 2 (promote)" in text
    assert "p-old serves generation 1 (newest is 2), lease renewed 4 s ago" in text
    assert "refused generation 2: truncated" in text
    assert "p-gone" not in text


def test_a_rollback_and_a_damaged_release_are_told(shop: Any) -> None:
    shop.release_of()
    shop.release_of(add=1)
    promote.rollback(shop.ledger)
    shop.ledger.path(2).write_text("{")
    status = fleet_status(shop.home, "sales", now=NOW)
    assert (status.generation, status.reason, status.rolled_back_to) == (3, "rollback", 1)
    assert "the bundle of generation 1 again" in status.as_text()
    assert "0000000002.json" in status.as_text()
    assert [release.generation for release in fleet_history(shop.home, "sales")] == [3, 1]


def test_a_running_process_shows_up(shop: Any, resident: Callable[..., Any]) -> None:
    shop.release_of()
    resident()
    (process,) = fleet_status(shop.home, "sales").processes
    assert (process.process, process.serving, process.current) == ("p-1", 1, True)
