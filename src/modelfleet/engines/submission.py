"""Submits the streaming job of a fleet to Flink, from where the fleet's previous job was."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import shutil
from typing import TYPE_CHECKING

from modelfleet.engines.flink import FlinkJob, find_job
from modelfleet.engines.java_process import configure
from modelfleet.engines.job_record import read_record, write_record
from modelfleet.engines.launch import run_job
from modelfleet.engines.options import pipeline_options
from modelfleet.errors import EngineUnavailableError
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from modelfleet.engines.job_server import JobServer
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def submitting(home: Home) -> Iterator[None]:
    """Let one submission at a time through, over all processes of this machine."""
    path = home.flink / "serving.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def submit(spec: FleetSpec, home: Home, server: JobServer, name: str, *, discard_state: bool = False) -> FlinkJob:
    """Submit the job, from where the fleet's earlier jobs were if that can be used.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        server: The job server.
        name: The job's name.
        discard_state: Start with nothing, whatever is there to start from.

    Raises:
        EngineUnavailableError: Flink does not start it; the message names its log.
    """
    record = read_record(home, spec.fleet)
    checkpoints = home.flink / "checkpoints"
    known = [] if discard_state else record.starting_points(checkpoints)
    for point in (*known, None):
        try:
            job, graph = _submit_from(spec, home, server, name, point)
        except EngineUnavailableError as error:
            if point is None or not server.answers():
                raise EngineUnavailableError(f"{error}; Flink's log is {home.logs / 'job-server.log'}") from error
            logger.warning("the job does not start from %s (%s); trying what is older", point, error)
        else:
            break
    followed = record.followed_by(job.job_id, restored_from=point, graph=graph)
    for old in set(record.jobs) - set(followed.jobs):
        shutil.rmtree(checkpoints / old, ignore_errors=True)
    write_record(home, spec.fleet, followed)
    return job


def graph_of(spec: FleetSpec, home: Home) -> tuple[str, ...]:
    """Return the transforms that the job of a spec has, one line each, without submitting it.

    Raises:
        ModelfleetError: It cannot be built.
    """
    output = run_job("beam_jobs.serve", [*_arguments(spec, home), "--graph-only"])
    return tuple(json.loads(output.strip().splitlines()[-1])["graph"])


def _arguments(spec: FleetSpec, home: Home) -> list[str]:
    document = home.flink / "serving" / f"{spec.fleet}.spec.json"
    write_whole(document, spec.model_dump_json())
    return [f"--fleet={spec.fleet}", f"--spec={document}", f"--home={home.root}"]


def _submit_from(
    spec: FleetSpec, home: Home, server: JobServer, name: str, point: Path | None
) -> tuple[FlinkJob, tuple[str, ...]]:
    """Submit, and return job and graph once Flink has taken up the checkpoint, or has begun with nothing."""
    configure(home, server, savepoint=point)
    try:
        options = pipeline_options(spec, "serve", home)
        if server.is_cluster and point is not None:
            options["savepoint_path"] = f"file://{point}"
        output = run_job("beam_jobs.serve", _arguments(spec, home), options)
        submitted = json.loads(output.strip().splitlines()[-1])
        logger.info("submitted %s", submitted["job_id"])
        job = find_job(server, name)  # which the launcher has seen running
        if job is not None:
            return job, tuple(submitted["graph"])
    finally:
        configure(home, server)
    raise EngineUnavailableError(f"job '{name}' was started and ended at once")
