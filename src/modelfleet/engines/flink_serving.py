"""The streaming job of a fleet on Flink, in the job server of this home."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.engines.flink import FlinkJob, cancel_job, find_job, refresh, tasks_running
from modelfleet.engines.job_record import read_record, write_record
from modelfleet.engines.job_server import find_job_server
from modelfleet.engines.options import job_name
from modelfleet.engines.orphans import wait_for_orphans, wait_until_gone
from modelfleet.engines.savepoints import end_with_savepoint, new_folder
from modelfleet.engines.submission import graph_of, submit, submitting
from modelfleet.serving.lease import LeaseFolder

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

logger = logging.getLogger(__name__)


class FlinkServing:
    """See ``ServingEngine``.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.

    Raises:
        EngineUnavailableError: No job server answers.
    """

    def __init__(self, spec: FleetSpec, home: Home) -> None:
        self._spec = spec
        self._home = home
        self._server = find_job_server(home)
        self._name = job_name(spec.fleet, "serve", home)
        self._leases = LeaseFolder(home.fleet(spec.fleet).leases)

    @property
    def restored_from(self) -> str | None:
        """See ``ServingEngine``."""
        return read_record(self._home, self._spec.fleet).restored_from

    @property
    def poll_seconds(self) -> float:
        """See ``ServingEngine``; it is on this machine or near."""
        return 0.2

    @property
    def logs(self) -> str:
        """See ``ServingEngine``."""
        logs = self._home.logs
        return f"the workers' log is {logs / 'beam-worker.log'}, Flink's is {logs / 'job-server.log'}"

    def alone(self) -> AbstractContextManager[None]:
        """See ``ServingEngine``; all fleets of a home share the lock, for the job server has one configuration."""
        return submitting(self._home)

    def find(self) -> FlinkJob | None:
        """See ``ServingEngine``."""
        return find_job(self._server, self._name)

    def runs(self, job: FlinkJob) -> bool | None:
        """See ``ServingEngine``."""
        now = refresh(job)
        return None if now is None else tasks_running(now)

    def start(self, *, discard_state: bool = False) -> FlinkJob:
        """See ``ServingEngine``."""
        wait_for_orphans(self._leases)
        return submit(self._spec, self._home, self._server, self._name, discard_state=discard_state)

    def update(self, job: FlinkJob) -> None:
        """See ``ServingEngine``: a job on Flink ends before the next one starts from its savepoint."""

    def cancel(self, job: FlinkJob, *, seconds: float) -> None:
        """See ``ServingEngine``; the job's last checkpoint is kept."""
        self._remember(ended="stopped")
        cancel_job(job, seconds=seconds)
        wait_until_gone(self._leases, job.name, seconds=seconds)

    def drain(self, job: FlinkJob, *, seconds: float, for_good: bool = True) -> Path:
        """See ``ServingEngine``; the state is a savepoint."""
        savepoint = end_with_savepoint(job, new_folder(self._home, self._spec.fleet), seconds=seconds)
        record = read_record(self._home, self._spec.fleet)
        self._remember(
            ended="drained" if for_good else None, savepoints={**record.savepoints, job.job_id: str(savepoint)}
        )
        wait_until_gone(self._leases, job.name, seconds=seconds)
        return savepoint

    def lost_by_restart(self) -> list[str]:
        """See ``ServingEngine``: state belongs to a transform by its place in the graph."""
        before = read_record(self._home, self._spec.fleet).graph
        if not before:
            return []  # started by a version that did not note it: Flink itself says whether it fits
        after = graph_of(self._spec, self._home)
        gone = [f"no longer there: {line}" for line in before if line not in after]
        return gone + [f"new: {line}" for line in after if line not in before]

    def _remember(self, **changes: object) -> None:
        record = read_record(self._home, self._spec.fleet)
        write_record(self._home, self._spec.fleet, record.model_copy(update=changes))
