"""Processes that serve a fleet without a job that this engine knows of: a second job would answer everything twice."""

from __future__ import annotations

import os
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from modelfleet.errors import EngineUnavailableError

if TYPE_CHECKING:
    from modelfleet.serving.lease import Lease, LeaseFolder

ORPHAN_SECONDS = 15.0
"""So long the workers of a job whose engine was killed may take to notice."""


def wait_for_orphans(leases: LeaseFolder) -> None:
    """Wait until nobody serves the fleet any more.

    On this host that is seen by the process; on another one, such as a second machine with the same home folder, by
    the lease, which ends unless it is renewed.

    Raises:
        EngineUnavailableError: One goes on; two jobs of a fleet would answer every request twice.
    """
    begin = time.monotonic()
    host = socket.gethostname()
    seen: dict[str, datetime] = {}
    while True:
        live = leases.live(datetime.now(UTC))
        here = [lease for lease in live if lease.host == host and alive(lease)]
        elsewhere = [lease for lease in live if lease.host != host]
        if not here and not elsewhere:
            return
        if here and time.monotonic() > begin + ORPHAN_SECONDS:
            orphan = here[0]
            raise EngineUnavailableError(
                f"process {orphan.pid} ({orphan.process}) still serves '{orphan.fleet}' for job '{orphan.job}', "
                "which this job server does not run: stop that process, then start again"
            )
        for lease in elsewhere:
            if seen.setdefault(lease.process, lease.renewed_at) != lease.renewed_at:
                raise EngineUnavailableError(
                    f"process {lease.process} on host '{lease.host}' serves '{lease.fleet}' for job '{lease.job}': "
                    "stop that job on its own machine (`modelfleet serve SPEC --stop`), then start one here"
                )
        time.sleep(0.2)


def wait_until_gone(leases: LeaseFolder, job: str, *, seconds: float) -> None:
    """Wait for the workers of a job that has ended, and take away the leases of those that are gone."""
    deadline = time.monotonic() + seconds
    ours = [lease for lease in leases.all() if lease.job == job and lease.host == socket.gethostname()]
    while any(alive(lease) for lease in ours) and time.monotonic() < deadline:
        time.sleep(0.1)
    for lease in ours:
        if not alive(lease):
            leases.remove(lease.process)


def alive(lease: Lease) -> bool:
    """Return whether a process of this id runs on this host."""
    try:
        os.kill(lease.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
