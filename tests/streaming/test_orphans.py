"""Before a job is started: the workers of a job whose engine was killed must be gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelfleet.engines import orphans
from modelfleet.errors import EngineUnavailableError
from modelfleet.serving.lease import Lease, LeaseFolder


def lease(pid: int, host: str) -> Lease:
    now = datetime.now(UTC)
    return Lease(
        process="p", fleet="sales", job="old", host=host, pid=pid, serving=1, serving_since=now, refused=(),
        renewed_at=now, expires_at=now + timedelta(hours=1),
    )  # fmt: skip


def test_an_orphan_that_goes_on_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orphans, "ORPHAN_SECONDS", 0.0)
    leases = LeaseFolder(tmp_path)
    leases.write(lease(os.getpid(), socket.gethostname()))
    with pytest.raises(EngineUnavailableError, match=f"process {os.getpid()} .* still serves 'sales' for job 'old'"):
        orphans.wait_for_orphans(leases)


def test_one_that_has_ended_does_not(tmp_path: Path) -> None:
    leases = LeaseFolder(tmp_path)
    orphans.wait_for_orphans(leases)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leases.write(lease(ended.pid, socket.gethostname()))
    orphans.wait_for_orphans(leases)


def test_a_job_on_another_machine_stops_the_start_once_it_shows_that_it_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = LeaseFolder(tmp_path)
    leases.write(lease(1, "elsewhere"))
    monkeypatch.setattr(orphans.time, "sleep", lambda _: leases.write(lease(1, "elsewhere")))
    with pytest.raises(EngineUnavailableError, match=r"p on host 'elsewhere' serves 'sales' for job 'old'.*--stop"):
        orphans.wait_for_orphans(leases)


def test_the_lease_of_a_machine_that_is_gone_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    leases, waits = LeaseFolder(tmp_path), []
    gone = lease(1, "elsewhere")
    leases.write(gone)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        leases.write(gone.model_copy(update={"expires_at": datetime.now(UTC)}))

    monkeypatch.setattr(orphans.time, "sleep", sleep)
    orphans.wait_for_orphans(leases)
    assert len(waits) == 1
