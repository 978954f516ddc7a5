"""Flink's REST API: which jobs there are, and how to end one.

Beam's own Cancel says CANCELLED while the Flink job runs on, and its list of jobs may say RUNNING for a job whose
cluster never started; Flink itself knows.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelfleet.errors import EngineUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from modelfleet.engines.job_server import JobServer

SECONDS = 10
"""Longest wait for one answer of the REST API."""

ENDED = frozenset({"FINISHED", "FAILED", "CANCELED"})


@dataclass(frozen=True)
class FlinkJob:
    """A job on Flink.

    Attributes:
        job_id: Flink's id: 32 hexadecimal digits.
        name: The pipeline option ``job_name``.
        state: Such as ``RUNNING`` or ``RESTARTING``.
        started_at: When it was submitted.
        host: Host of the REST API of the cluster it runs on.
        port: Its port.
    """

    job_id: str
    name: str
    state: str
    started_at: datetime
    host: str
    port: int

    @property
    def url(self) -> str:
        """Address of the job in Flink's REST API."""
        return f"http://{self.host}:{self.port}/jobs/{self.job_id}"


def list_jobs(server: JobServer) -> list[FlinkJob]:
    """Return every job on a job server, the ended ones too, newest first.

    Each job has a mini cluster of its own, on a port of its own; it goes soon after the job has ended.

    Raises:
        EngineUnavailableError: A cluster does not answer.
    """
    jobs = []
    for port in range(server.rest_ports[0], server.rest_ports[1] + 1):
        overview = get_json(server.host, port, "/jobs/overview")
        for job in (overview or {}).get("jobs", ()):
            started = datetime.fromtimestamp(job["start-time"] / 1000, UTC)
            jobs.append(FlinkJob(job["jid"], job["name"], job["state"], started, server.host, port))
    return sorted(jobs, key=lambda job: job.started_at, reverse=True)


def find_job(server: JobServer, name: str) -> FlinkJob | None:
    """Return the newest job of this name that has not ended, or None.

    Raises:
        EngineUnavailableError: A cluster does not answer.
    """
    return next((job for job in list_jobs(server) if job.name == name and job.state not in ENDED), None)


def wait_for_job(server: JobServer, name: str, *, seconds: float, refused: Callable[[], bool]) -> FlinkJob:
    """Return a job that was just submitted, once Flink has begun it: with its checkpoint, if it has one.

    Args:
        server: Where it was submitted.
        name: Its name.
        seconds: How long to wait.
        refused: Whether the job server says that the job has ended; a job that Flink refuses at once may never be
            seen in a cluster. Asked once a second.

    Raises:
        EngineUnavailableError: Flink does not begin it.
    """
    seen, ask_at = False, time.monotonic() + 1.0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(EngineUnavailableError):  # busy starting
            job = find_job(server, name)
            if job is not None and job.state != "INITIALIZING":
                return job
            if job is None and seen:  # such as a checkpoint that cannot be read
                break
            seen = job is not None
            if time.monotonic() > ask_at:
                if refused():
                    break
                ask_at = time.monotonic() + 1.0
        time.sleep(0.2)
    raise EngineUnavailableError(f"job '{name}' was submitted but Flink did not start it")


def refresh(job: FlinkJob) -> FlinkJob | None:
    """Return the job as it is now; None once its cluster is gone.

    Raises:
        EngineUnavailableError: The cluster does not answer.
    """
    found = get_json(job.host, job.port, f"/jobs/{job.job_id}")
    if found is None or "state" not in found:
        return None
    return FlinkJob(job.job_id, job.name, found["state"], job.started_at, job.host, job.port)


def tasks_running(job: FlinkJob) -> bool:
    """Return whether every task of the job runs, so that it can read and write."""
    found = get_json(job.host, job.port, f"/jobs/{job.job_id}") or {}
    vertices = found.get("vertices", [])
    return found.get("state") == "RUNNING" and bool(vertices) and all(v["status"] == "RUNNING" for v in vertices)


def cancel_job(job: FlinkJob, *, seconds: float = 30.0) -> None:
    """Cancel a job and wait until it has ended; one that has ended is fine.

    Args:
        job: As found.
        seconds: How long to wait.

    Raises:
        EngineUnavailableError: It has not ended in time.
    """
    with contextlib.suppress(OSError, http.client.HTTPException):  # its cluster may be going already
        _request(job.host, job.port, "PATCH", f"/jobs/{job.job_id}?mode=cancel")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(EngineUnavailableError):
            now = refresh(job)
            if now is None or now.state in ENDED:
                return
        time.sleep(0.1)
    raise EngineUnavailableError(
        f"job '{job.name}' has not ended {seconds:.0f} s after it was cancelled: see {job.url}"
    )


def latest_checkpoint(checkpoints: Path, job_id: str) -> Path | None:
    """Return the newest whole checkpoint of a job, or None.

    Args:
        checkpoints: The folder ``state.checkpoints.dir``.
        job_id: Flink's id of the job.
    """
    whole = [metadata.parent for metadata in (checkpoints / job_id).glob("chk-*/_metadata")]
    return max(whole, key=lambda folder: int(folder.name.removeprefix("chk-")), default=None)


def get_json(host: str, port: int, path: str) -> dict[str, Any] | None:
    """Return the JSON object at a path; None where nothing listens or it does not answer with one.

    Raises:
        EngineUnavailableError: Something listens but does not answer; a job there must not be taken for none.
    """
    try:
        found = json.loads(_request(host, port, "GET", path))
    except TimeoutError:
        raise EngineUnavailableError(
            f"Flink's REST API at http://{host}:{port}{path} does not answer within {SECONDS} s; try again"
        ) from None
    except (OSError, ValueError, http.client.HTTPException):
        return None
    return found if isinstance(found, dict) else None


def post_json(job: FlinkJob, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request about a job and return the JSON object that Flink answers with, an error's too.

    Raises:
        EngineUnavailableError: The cluster does not answer.
    """
    try:
        found = json.loads(_request(job.host, job.port, "POST", f"/jobs/{job.job_id}{path}", json.dumps(body)))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise EngineUnavailableError(f"Flink's REST API at {job.url}{path} does not answer: {error}") from error
    return found if isinstance(found, dict) else {}


def _request(host: str, port: int, method: str, path: str, body: str | None = None) -> bytes:
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
        return connection.getresponse().read()
    finally:
        connection.close()
