"""Before a job is started: the workers of a job whose engine was killed must be gone."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelfleet.engines import submission
from modelfleet.errors import EngineUnavailableError
from modelfleet.serving.lease import Lease, LeaseFolder


def lease(pid: int, host: str) -> Lease:
    now = datetime.now(UTC)
    return Lease(
        process="p", fleet="sales", job="old", host=host, pid=pid, serving=1, serving_since=now, refused=(),
        renewed_at=now, expires_at=now + timedelta(hours=1),
    )  # fmt: skip


def test_an_orphan_that_goes_on_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "ORPHAN_SECONDS", 0.0)
    leases = LeaseFolder(tmp_path)
    leases.write(lease(os.getpid(), socket.gethostname()))
    with pytest.raises(EngineUnavailableError, match=f"process {os.getpid()} .* still serves 'sales' for job 'old'"):
        submission.wait_for_orphans(leases)


def test_one_that_has_ended_or_runs_elsewhere_does_not(tmp_path: Path) -> None:
    leases = LeaseFolder(tmp_path)
    submission.wait_for_orphans(leases)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    leases.write(lease(ended.pid, socket.gethostname()))
    submission.wait_for_orphans(leases)
    leases.write(lease(os.getpid(), "another-host"))
    submission.wait_for_orphans(leases)
