"""Starts the streaming job of a fleet and looks at it: exactly one per fleet and home."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from modelfleet.engines.job_record import read_record
from modelfleet.engines.job_server import running_job_server
from modelfleet.engines.kafka_topics import check_topics
from modelfleet.engines.serving_engine import serving_engine
from modelfleet.errors import BundleError, EngineUnavailableError, LedgerEmptyError, ReleaseError
from modelfleet.releases.ledger import Ledger
from modelfleet.serving.lease import LeaseFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from modelfleet.engines.job_server import JobServer
    from modelfleet.engines.serving_engine import EngineJob, ServingEngine
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

logger = logging.getLogger(__name__)


START_SECONDS = {"local": 120.0, "flink": 120.0, "dataflow": 900.0}
"""How long an engine may take to start a job; machines in a cloud are started for it."""


class ServingJob(BaseModel):
    """The streaming job of a fleet.

    Attributes:
        fleet: The fleet.
        name: The job's name on the engine.
        job_id: The engine's id of it.
        state: Such as ``RUNNING``.
        url: Where the engine tells more.
        started_at: When it was submitted.
        generation: The oldest generation that a live process of it serves; None before the first.
        processes: Its live processes, by name.
        restored_from: The checkpoint, savepoint or job it goes on from; None if it started with nothing.
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


def start_serving(spec: FleetSpec, home: Home, *, wait_seconds: float | None = None) -> ServingJob:
    """Start the streaming job of a fleet and wait until it serves; a running one is returned as it is.

    The job goes on from the last checkpoint of the fleet's previous job, if there is one: files that one has
    answered are not answered again.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        wait_seconds: How long to wait for the first process to serve; None means as long as is usual on the engine,
            0 not at all.

    Raises:
        LedgerEmptyError: The fleet has no release yet.
        ReleaseError: It has, and none of them can be loaded.
        EngineUnavailableError: No engine or no Kafka answers, or the job does not come up.
        SpecError: A topic is not there.
        InputError: The engine cannot run the job: nobody is signed in, or something of the cloud is missing.
    """
    check_can_serve(spec, home)
    engine = serving_engine(spec, home)
    with engine.alone():
        job = engine.find()
        if job is not None:
            return describe(spec, home, engine, job, already_running=True)
        check_topics(spec, home)
        job = engine.start()
    return wait_until_serving(spec, home, engine, job, wait_seconds)


def serving_status(spec: FleetSpec, home: Home) -> ServingJob | None:
    """Return the running streaming job of a fleet, or None.

    Raises:
        EngineUnavailableError: No engine answers.
        SpecError: The engine cannot serve.
    """
    engine = serving_engine(spec, home)
    job = engine.find()
    return None if job is None else describe(spec, home, engine, job)


def serve(spec: FleetSpec, home: Home, *, started: Callable[[ServingJob], None] = lambda job: None) -> ServingJob:
    """Serve a fleet: on the job server of this home, or on one that runs for as long as this call.

    With a job server running, or on Dataflow, the job is started there and this returns at once. Without one, both are
    started here and run until Ctrl-C (or SIGTERM), which stops both.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        started: Called once the fleet is served.

    Raises:
        LedgerEmptyError: The fleet has no release yet.
        ReleaseError: It has, and none of them can be loaded.
        EngineUnavailableError: No Kafka answers, the job server or the job does not come up, or the job ends by itself.
        SpecError: The engine cannot serve, or a topic is not there.
    """
    check_can_serve(spec, home)
    check_topics(spec, home)
    try:
        serving_engine(spec, home)
    except EngineUnavailableError as error:
        if spec.engine == "dataflow":
            raise
        logger.info("%s; starting one for as long as this runs", error)
    else:
        job = start_serving(spec, home)
        started(job)
        return job
    with _interrupted_by_terminate(), running_job_server(home) as server:
        job = start_serving(spec, home)
        started(job)
        engine = serving_engine(spec, home)
        try:
            while _runs(engine, server):
                time.sleep(1.0)
        except KeyboardInterrupt:
            _cancel(engine)
            return job
    if read_record(home, spec.fleet).ended is not None:
        return job
    raise EngineUnavailableError(f"job '{job.name}' has ended by itself; the log is {home.logs / 'job-server.log'}")


def check_can_serve(spec: FleetSpec, home: Home) -> None:
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


def wait_until_serving(
    spec: FleetSpec, home: Home, engine: ServingEngine[Any], job: EngineJob, seconds: float | None
) -> ServingJob:
    """Wait until a process of a job that was just started serves, and return the job.

    Raises:
        EngineUnavailableError: None does in time, or the job has ended.
    """
    seconds = START_SECONDS[spec.engine] if seconds is None else seconds
    if seconds == 0:
        return describe(spec, home, engine, job)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(EngineUnavailableError):  # busy starting
            runs = engine.runs(job)
            if runs is None:
                break
            described = describe(spec, home, engine, job)
            if runs and described.generation is not None:
                return described.model_copy(update={"state": "RUNNING"})
        time.sleep(engine.poll_seconds)
    raise EngineUnavailableError(
        f"job '{job.name}' was started but no process of it serves after {seconds:.0f} s; {engine.logs}"
    )


def describe(
    spec: FleetSpec, home: Home, engine: ServingEngine[Any], job: EngineJob, *, already_running: bool = False
) -> ServingJob:
    """Return a job with the processes that hold a lease for it."""
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
        restored_from=engine.restored_from,
        already_running=already_running,
    )


def _runs(engine: ServingEngine[Any], server: JobServer) -> bool:
    try:
        if engine.find() is not None:
            return True
        with engine.alone():  # a restart ends one job and starts another
            return engine.find() is not None
    except EngineUnavailableError:  # slow is not gone
        return server.answers()


def _cancel(engine: ServingEngine[Any]) -> None:
    job = engine.find()
    if job is not None:
        engine.cancel(job, seconds=30.0)


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
