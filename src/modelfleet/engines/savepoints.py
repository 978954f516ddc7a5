"""Savepoints: the state of a job in a folder of its own, from which the next job goes on."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from modelfleet.engines.flink import ENDED, get_json, post_json, refresh
from modelfleet.engines.job_record import read_record
from modelfleet.errors import EngineUnavailableError

if TYPE_CHECKING:
    from modelfleet.engines.flink import FlinkJob
    from modelfleet.home import Home


class Savepoint(BaseModel):
    """A savepoint of a fleet's job.

    Attributes:
        path: Its folder.
        taken_at: When.
        needed: Whether the next job may start from it; the others are removed by ``modelfleet gc``.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    taken_at: AwareDatetime
    needed: bool


def end_with_savepoint(job: FlinkJob, folder: Path, *, seconds: float) -> Path:
    """Stop the sources, let everything they have read be answered, take a savepoint, and end the job.

    Flink calls this "stop with savepoint". Its flag ``drain`` is not set: it would also let time run out for the
    sources, whose polling never ends, and the job would run on for ever; what a drain is for, that nothing in flight
    is left unanswered, comes from the savepoint itself, which is complete only when all that was read is written.

    Args:
        job: A running job.
        folder: Where the savepoint goes; it must be of this savepoint alone.
        seconds: How long to wait.

    Returns:
        The savepoint.

    Raises:
        EngineUnavailableError: It was not taken; the job may run on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    body = {"targetDirectory": f"file://{folder}", "drain": False}
    answer = post_json(job, "/stop", body)
    request = answer.get("request-id")
    if request is None:
        raise EngineUnavailableError(f"job '{job.name}': Flink takes no savepoint: {_errors(answer)}")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = get_json(job.host, job.port, f"/jobs/{job.job_id}/savepoints/{request}")
        cause = ((found or {}).get("operation") or {}).get("failure-cause")
        if cause is not None:
            raise EngineUnavailableError(f"job '{job.name}': the savepoint failed: {_first_line(cause)}")
        now = refresh(job)
        if now is None or now.state in ENDED:  # the cluster goes with its job, often before it has told the place
            break
        time.sleep(0.1)
    else:
        raise EngineUnavailableError(
            f"job '{job.name}': no savepoint within {seconds:.0f} s; it is still being taken or the job hangs: see "
            f"{job.url}"
        )
    whole = sorted(folder.glob("*/_metadata"))
    if not whole:
        raise EngineUnavailableError(f"job '{job.name}' has ended, but left no whole savepoint in {folder}")
    return whole[0].parent


def new_folder(home: Home, fleet: str) -> Path:
    """Return a folder, not made yet, for the next savepoint of a fleet."""
    return _of_fleet(home, fleet) / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"


def list_savepoints(home: Home, fleet: str) -> list[Savepoint]:
    """Return the savepoints of a fleet, newest first."""
    needed = {str(path) for path in read_record(home, fleet).starting_points(home.flink / "checkpoints")}
    found = []
    for metadata in _of_fleet(home, fleet).glob("*/*/_metadata"):
        path = str(metadata.parent)
        taken = datetime.fromtimestamp(metadata.stat().st_mtime, UTC)
        found.append(Savepoint(path=path, taken_at=taken, needed=path in needed))
    return sorted(found, key=lambda savepoint: savepoint.taken_at, reverse=True)


def _of_fleet(home: Home, fleet: str) -> Path:
    return home.flink / "savepoints" / fleet


def _errors(answer: dict[str, object]) -> str:
    errors = answer.get("errors")
    return _first_line(errors[0]) if isinstance(errors, list) and errors else "no reason given"


def _first_line(cause: object) -> str:
    text = str(cause.get("stack-trace", cause)) if isinstance(cause, dict) else str(cause)
    return text.strip().splitlines()[0] if text.strip() else "no reason given"
