"""What the sensors make of the leases of serving processes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException

from modelfleet.home import FleetHome, Home
from modelfleet.serving.lease import Lease, LeaseFolder, Refusal
from modelfleet_airflow.sensors.live_lease import LiveLeaseSensor
from modelfleet_airflow.sensors.served_release import ServedReleaseSensor

Live = Callable[..., None]


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetHome:
    monkeypatch.setenv("MODELFLEET_HOME", str(tmp_path))
    return Home(tmp_path).fleet("shops")


@pytest.fixture
def live(folders: FleetHome) -> Live:
    """Let a process hold a lease."""

    def write(
        process: str, serving: int | None, refused: int | None = None, expired: bool = False, passing: bool = False
    ) -> None:
        now = datetime.now(UTC)
        lease = Lease(
            process=process,
            fleet="shops",
            job="job",
            host="host",
            pid=1,
            serving=serving,
            serving_since=None,
            refused=() if refused is None else (Refusal(generation=refused, reason="hash differs", passing=passing),),
            renewed_at=now,
            expires_at=now + timedelta(minutes=-1 if expired else 5),
        )
        LeaseFolder(folders.leases).write(lease)

    return write


def served(generation: int = 2) -> bool:
    return ServedReleaseSensor(task_id="confirm", fleet="shops", generation=generation).poke({})


def answers() -> bool:
    return LiveLeaseSensor(task_id="wait", fleet="shops").poke({})


def test_a_job_answers_when_a_live_process_serves_something(live: Live) -> None:
    assert not answers()
    live("dead", 1, expired=True)
    assert not answers()
    live("starting", None)
    assert not answers()
    live("up", 1)
    assert answers()


def test_a_release_is_served_when_every_live_process_serves_it_or_a_newer_one(live: Live) -> None:
    live("dead", 1, expired=True)
    live("one", 2)
    assert served(2)
    live("two", 1)
    assert not served(2)
    live("two", None)
    assert not served(2)
    live("two", 3)
    assert served(2)


def test_with_nobody_to_wait_for_a_release_is_published_unconfirmed(live: Live) -> None:
    live("dead", 1, expired=True)
    assert served(2)


def test_a_refusal_ends_the_waiting(live: Live) -> None:
    live("one", 1, refused=2)
    with pytest.raises(AirflowFailException, match="one refuses generation 2: hash differs"):
        served(2)
    assert served(1)


def test_trouble_of_the_process_itself_does_not(live: Live) -> None:
    live("one", 1, refused=2, passing=True)
    assert not served(2)
