"""Submits the streaming job of a fleet, from where the fleet's previous job was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import socket
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from modelfleet.engines.flink import FlinkJob, find_job, latest_checkpoint
from modelfleet.engines.java_process import configure, write_whole
from modelfleet.engines.launch import run_job
from modelfleet.engines.options import pipeline_options
from modelfleet.errors import EngineUnavailableError
from modelfleet.serving.lease import Lease, LeaseFolder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelfleet.engines.job_server import JobServer
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

logger = logging.getLogger(__name__)

KEPT_JOBS = 3
"""Checkpoints of so many jobs of a fleet are kept, the newest ones."""

APPEAR_SECONDS = 60.0
ORPHAN_SECONDS = 15.0


class JobRecord(BaseModel):
    """What is remembered of a fleet's jobs, so that the next one can go on where the last one was.

    Attributes:
        jobs: Flink's ids of the last few, newest first.
        restored_from: The checkpoint the newest was started from; None if it started with nothing.
    """

    jobs: tuple[str, ...] = ()
    restored_from: str | None = None


@contextlib.contextmanager
def submitting(home: Home) -> Iterator[None]:
    """Let one submission at a time through, over all processes of this machine."""
    path = home.flink / "serving.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def submit(spec: FleetSpec, home: Home, server: JobServer, name: str) -> FlinkJob:
    """Submit the job, from the newest checkpoint of the fleet's earlier jobs if one can be used.

    Raises:
        EngineUnavailableError: Flink does not start it.
    """
    record = read_record(home, spec.fleet)
    checkpoints = home.flink / "checkpoints"
    found = (latest_checkpoint(checkpoints, job_id) for job_id in record.jobs)
    checkpoint = next((path for path in found if path is not None), None)
    try:
        job = _submit_from(spec, home, server, name, checkpoint)
    except EngineUnavailableError as error:
        if checkpoint is None or not server.answers():
            raise
        logger.warning("the job does not start from %s (%s); starting it with nothing", checkpoint, error)
        checkpoint = None
        job = _submit_from(spec, home, server, name, None)
    jobs = (job.job_id, *record.jobs)
    for old in jobs[KEPT_JOBS:]:
        shutil.rmtree(checkpoints / old, ignore_errors=True)
    restored = None if checkpoint is None else str(checkpoint)
    _write_record(home, spec.fleet, JobRecord(jobs=jobs[:KEPT_JOBS], restored_from=restored))
    return job


def _submit_from(spec: FleetSpec, home: Home, server: JobServer, name: str, checkpoint: Path | None) -> FlinkJob:
    """Submit, and return the job once Flink has taken up the checkpoint, or has begun with nothing."""
    document = home.flink / "serving" / f"{spec.fleet}.spec.json"
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text(spec.model_dump_json(), encoding="utf-8")
    configure(home, server, savepoint=checkpoint)
    try:
        arguments = [f"--fleet={spec.fleet}", f"--spec={document}", f"--home={home.root}"]
        output = run_job("beam_jobs.serve", arguments, pipeline_options(spec, "serve", home))
        submitted = json.loads(output.strip().splitlines()[-1])["job_id"]
        logger.info("submitted %s", submitted)
        seen = False
        deadline = time.monotonic() + APPEAR_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(EngineUnavailableError):  # busy starting
                job = find_job(server, name)
                if job is not None and job.state != "INITIALIZING":
                    return job
                if job is None and seen:  # such as a checkpoint that cannot be read
                    break
                seen = job is not None
            time.sleep(0.2)
    finally:
        configure(home, server)
    log = home.logs / "job-server.log"
    raise EngineUnavailableError(f"job '{name}' was submitted but Flink did not start it; the log is {log}")


def wait_for_orphans(leases: LeaseFolder) -> None:
    """Wait for the workers of a job whose engine was killed: they end as soon as they notice.

    Raises:
        EngineUnavailableError: One goes on; two jobs of a fleet would answer every request twice.
    """
    deadline = time.monotonic() + ORPHAN_SECONDS
    host = socket.gethostname()
    while True:
        orphans = [lease for lease in leases.live(datetime.now(UTC)) if lease.host == host and alive(lease)]
        if not orphans:
            return
        if time.monotonic() > deadline:
            orphan = orphans[0]
            raise EngineUnavailableError(
                f"process {orphan.pid} ({orphan.process}) still serves '{orphan.fleet}' for job '{orphan.job}', "
                "which this job server does not run: stop that process, then start again"
            )
        time.sleep(0.2)


def alive(lease: Lease) -> bool:
    """Return whether a process of this id runs on this host."""
    try:
        os.kill(lease.pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _record_path(home: Home, fleet: str) -> Path:
    return home.flink / "serving" / f"{fleet}.json"


def read_record(home: Home, fleet: str) -> JobRecord:
    """Return what is remembered of a fleet's jobs; an empty record where there is none."""
    try:
        return JobRecord.model_validate_json(_record_path(home, fleet).read_bytes())
    except (FileNotFoundError, ValidationError):
        return JobRecord()


def _write_record(home: Home, fleet: str, record: JobRecord) -> None:
    write_whole(_record_path(home, fleet), record.model_dump_json(indent=1))
