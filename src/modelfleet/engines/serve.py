"""Starts, looks at and stops the streaming job of a fleet: exactly one per fleet and home."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from modelfleet.engines.flink import FlinkJob, cancel_job, find_job, refresh, tasks_running
from modelfleet.engines.job_server import find_job_server, running_job_server
from modelfleet.engines.options import job_name
from modelfleet.engines.submission import alive, read_record, submit, submitting, wait_for_orphans
from modelfleet.errors import BundleError, EngineUnavailableError, LedgerEmptyError, ReleaseError, SpecError
from modelfleet.releases.ledger import Ledger
from modelfleet.serving.lease import LeaseFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelfleet.engines.job_server import JobServer
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

logger = logging.getLogger(__name__)


class ServingJob(BaseModel):
    """The streaming job of a fleet.

    Attributes:
        fleet: The fleet.
        name: The job's name on the engine.
        job_id: Flink's id of it.
        state: Such as ``RUNNING``.
        url: Where Flink's REST API tells more.
        started_at: When it was submitted.
        generation: The oldest generation that a live process of it serves; None before the first.
        processes: Its live processes, by name.
        restored_from: The checkpoint it was started from; None if it started with nothing.
        already_running: Whether ``start_serving`` found it running.
    """

    model_config = ConfigDict(frozen=True)

    fleet: str
    name: str
    job_id: str
    state: str
    url: str
    started_at: AwareDatetime
    generation: int | None = None
    processes: tuple[str, ...] = ()
    restored_from: str | None = None
    already_running: bool = False


def start_serving(spec: FleetSpec, home: Home, *, wait_seconds: float = 120.0) -> ServingJob:
    """Start the streaming job of a fleet and wait until it serves; a running one is returned as it is.

    The job goes on from the last checkpoint of the fleet's previous job, if there is one: files that one has
    answered are not answered again.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        wait_seconds: How long to wait for the first process to serve.

    Raises:
        LedgerEmptyError: The fleet has no release yet.
        ReleaseError: It has, and none of them can be loaded.
        EngineUnavailableError: No job server answers, or the job does not come up.
        SpecError: The engine cannot serve.
    """
    folders = home.fleet(spec.fleet)
    _check_can_serve(spec, home)
    if spec.engine == "dataflow":
        raise SpecError("engine: 'dataflow' cannot be started from here yet; serve with engine 'local'")
    server = find_job_server(home)
    name = job_name(spec.fleet, "serve", home)
    with submitting(home):
        job = find_job(server, name)
        if job is not None:
            return _describe(spec, home, job, already_running=True)
        wait_for_orphans(LeaseFolder(folders.leases))
        job = submit(spec, home, server, name)
    return _wait_until_serving(spec, home, job, wait_seconds)


def serving_status(spec: FleetSpec, home: Home) -> ServingJob | None:
    """Return the running streaming job of a fleet, or None.

    Raises:
        EngineUnavailableError: No job server answers.
    """
    job = find_job(find_job_server(home), job_name(spec.fleet, "serve", home))
    return None if job is None else _describe(spec, home, job)


def stop_serving(spec: FleetSpec, home: Home, *, seconds: float = 30.0) -> bool:
    """Stop the streaming job of a fleet; it can be started again from its last checkpoint.

    Args:
        spec: The fleet's spec.
        home: The root folder.
        seconds: How long to wait for it to end.

    Returns:
        Whether one was running.

    Raises:
        EngineUnavailableError: No job server answers, or the job does not end.
    """
    job = find_job(find_job_server(home), job_name(spec.fleet, "serve", home))
    if job is None:
        return False
    cancel_job(job, seconds=seconds)
    leases = LeaseFolder(home.fleet(spec.fleet).leases)
    deadline = time.monotonic() + seconds
    ours = [lease for lease in leases.all() if lease.job == job.name and lease.host == socket.gethostname()]
    while any(alive(lease) for lease in ours) and time.monotonic() < deadline:
        time.sleep(0.1)
    for lease in ours:
        if not alive(lease):
            leases.remove(lease.process)
    return True


def serve(spec: FleetSpec, home: Home, *, started: Callable[[ServingJob], None] = lambda job: None) -> ServingJob:
    """Serve a fleet: on the job server of this home, or on one that runs for as long as this call.

    With a job server running, the job is started there and this returns at once. Without one, both are started here
    and run until Ctrl-C (or SIGTERM), which stops both.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        started: Called once the fleet is served.

    Raises:
        LedgerEmptyError: The fleet has no release yet.
        ReleaseError: It has, and none of them can be loaded.
        EngineUnavailableError: The job server or the job does not come up, or the job ends by itself.
    """
    _check_can_serve(spec, home)
    try:
        find_job_server(home)
    except EngineUnavailableError as error:
        logger.info("%s; starting one for as long as this runs", error)
    else:
        job = start_serving(spec, home)
        started(job)
        return job
    with _interrupted_by_terminate(), running_job_server(home) as server:
        job = start_serving(spec, home)
        started(job)
        try:
            while _runs(server, job.name):
                time.sleep(1.0)
        except KeyboardInterrupt:
            stop_serving(spec, home)
            return job
    raise EngineUnavailableError(f"job '{job.name}' has ended by itself; the log is {home.logs / 'job-server.log'}")


def _check_can_serve(spec: FleetSpec, home: Home) -> None:
    """Refuse now what every process of the job would refuse again and again: a fleet of which no release is whole."""
    ledger = Ledger(home.fleet(spec.fleet).releases)
    damaged = ledger.problems()
    for release in reversed(ledger.all()):
        try:
            release.bundle.open()
        except (BundleError, ReleaseError) as error:
            damaged.append(f"generation {release.generation}: {error}")
        else:
            return
    if not damaged:
        raise LedgerEmptyError(spec.fleet)
    raise ReleaseError(
        f"fleet '{spec.fleet}': not one release can be loaded: {'; '.join(damaged)}; "
        "train anew: `modelfleet run --force`"
    )


def _runs(server: JobServer, name: str) -> bool:
    try:
        return find_job(server, name) is not None
    except EngineUnavailableError:  # slow is not gone
        return server.answers()


def _wait_until_serving(spec: FleetSpec, home: Home, job: FlinkJob, seconds: float) -> ServingJob:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(EngineUnavailableError):  # busy starting
            now = refresh(job)
            if now is None:
                break
            described = _describe(spec, home, now)
            if described.generation is not None and tasks_running(now):
                return described
        time.sleep(0.2)
    raise EngineUnavailableError(
        f"job '{job.name}' was started but no process of it serves after {seconds:.0f} s; "
        f"the workers' log is {home.logs / 'beam-worker.log'}, Flink's is {home.logs / 'job-server.log'}"
    )


def _describe(spec: FleetSpec, home: Home, job: FlinkJob, *, already_running: bool = False) -> ServingJob:
    live = LeaseFolder(home.fleet(spec.fleet).leases).live(datetime.now(UTC))
    ours = [lease for lease in live if lease.job == job.name and lease.renewed_at >= job.started_at]
    return ServingJob(
        fleet=spec.fleet,
        name=job.name,
        job_id=job.job_id,
        state=job.state,
        url=job.url,
        started_at=job.started_at,
        generation=min((lease.serving for lease in ours if lease.serving is not None), default=None),
        processes=tuple(lease.process for lease in ours),
        restored_from=read_record(home, spec.fleet).restored_from,
        already_running=already_running,
    )


@contextlib.contextmanager
def _interrupted_by_terminate() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C within the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
