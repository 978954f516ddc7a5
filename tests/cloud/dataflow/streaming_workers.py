"""What stands in for the workers of a streaming job: they hold leases, and answer nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from modelfleet.home import Home
from modelfleet.serving.lease import Lease, LeaseFolder
from modelfleet.spec import FleetSpec
from tests.cloud.dataflow.job_store import Job
from tests.cloud.dataflow.loopback_google import PROJECT, Google

SUBSCRIPTION = f"projects/{PROJECT}/subscriptions/requests"
ANSWERS, DEAD = f"projects/{PROJECT}/topics/answers", f"projects/{PROJECT}/topics/dead-letters"


class StreamingWorkers:
    """Hold a lease for every streaming job that runs, as its processes would."""

    def __init__(self, google: Google, spec: FleetSpec, home: Home) -> None:
        self._google = google
        self._spec = spec
        self._leases = LeaseFolder(home.fleet(spec.fleet).leases)
        self._ended = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Work within the block."""
        thread = threading.Thread(target=self._renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _renew(self) -> None:
        while not self._ended.wait(0.1):
            for job in self._google.store.list(active=True):
                self._leases.write(self._lease(job))

    def _lease(self, job: Job) -> Lease:
        now = datetime.now(UTC)
        return Lease(
            process=f"worker-of-{job['id']}",
            fleet=self._spec.fleet,
            job=job["name"],
            host="a-worker",
            pid=1,
            serving=1,
            serving_since=now,
            refused=(),
            renewed_at=now,
            expires_at=datetime(2100, 1, 1, tzinfo=UTC),
        )
