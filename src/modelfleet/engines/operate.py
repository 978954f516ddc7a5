"""Ending and renewing the streaming job of a fleet: stop, drain, restart."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from modelfleet.engines.kafka_topics import check_topics
from modelfleet.engines.serve import ServingJob, check_can_serve, describe, wait_until_serving
from modelfleet.engines.serving_engine import serving_engine
from modelfleet.errors import EngineUnavailableError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelfleet.engines.serving_engine import EngineJob, ServingEngine
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

logger = logging.getLogger(__name__)


STOP_SECONDS = {"local": 30.0, "flink": 30.0, "dataflow": 600.0}
"""How long an engine may take to end a job; a cloud takes its machines away first."""

DRAIN_SECONDS = {"local": 120.0, "flink": 120.0, "dataflow": 1800.0}
"""The same where everything that was read is answered first."""


def stop_serving(spec: FleetSpec, home: Home, *, seconds: float | None = None) -> bool:
    """Stop the streaming job of a fleet at once; it can be started again from its last checkpoint.

    Args:
        spec: The fleet's spec.
        home: The root folder.
        seconds: How long to wait for it to end; None means as long as is usual on the engine.

    Returns:
        Whether one was running.

    Raises:
        EngineUnavailableError: No engine answers, or the job does not end.
        InputError: The engine does not know who calls, or the spec does not say where it is.
    """
    engine = serving_engine(spec, home)
    with engine.alone():
        job = engine.find()
        if job is None:
            return False
        engine.cancel(job, seconds=STOP_SECONDS[spec.engine] if seconds is None else seconds)
    return True


def drain_serving(spec: FleetSpec, home: Home, *, seconds: float | None = None) -> str | None:
    """Stop the sources of a fleet's job, let everything they have read be answered, and end it with its state kept.

    Args:
        spec: The fleet's spec.
        home: The root folder.
        seconds: How long that may take; None means as long as is usual on the engine.

    Returns:
        Where the state is, from which the next job goes on; None where no job was running.

    Raises:
        EngineUnavailableError: No engine answers, or the job is not drained in time; it may run on.
        InputError: The engine does not know who calls, or the spec does not say where it is.
    """
    engine = serving_engine(spec, home)
    with engine.alone():
        job = engine.find()
        wait = DRAIN_SECONDS[spec.engine] if seconds is None else seconds
        return None if job is None else str(engine.drain(job, seconds=wait))


def restart_serving(
    spec: FleetSpec,
    home: Home,
    *,
    discard_state: bool = False,
    drain_seconds: float | None = None,
    wait_seconds: float | None = None,
    said: Callable[[str], None] = logger.info,
) -> ServingJob:
    """Replace the running job of a fleet by one of the spec and the code as they are now, which goes on from its state.

    Where no job runs, one is started. On Dataflow the new job takes the running one's place without a pause; on Flink
    that is drained first. A job that cannot be drained is cancelled, and the new one goes on from its last checkpoint:
    some requests are then answered twice, none is lost.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        discard_state: Start with nothing where the state cannot go over. What was answered may be answered again.
        drain_seconds: How long the old job may take to end; None means as long as is usual on the engine.
        wait_seconds: How long to wait for the new one to serve; None means as long as is usual on the engine, 0
            not at all.
        said: Told what happens, a sentence at a time.

    Raises:
        LedgerEmptyError: The fleet has no release yet.
        ReleaseError: It has, and none of them can be loaded.
        InputError: The new job's graph is another one, so the state cannot go over, or the engine refuses the new job;
            the old job runs on.
        EngineUnavailableError: No engine or no Kafka answers, or the new job does not come up.
        SpecError: A topic is not there.
    """
    check_can_serve(spec, home)
    check_topics(spec, home)
    engine = serving_engine(spec, home)
    with engine.alone():
        old = engine.find()
        lost = [] if old is None else engine.lost_by_restart()
        if lost and not discard_state:
            raise InputError(_state_lost(spec, lost))
        job = None
        if old is not None and not lost:
            job = engine.update(old)
            if job is not None:
                said(f"job {old.job_id} goes over into job {job.job_id}")
        if old is not None and job is None:
            _end(engine, old, DRAIN_SECONDS[spec.engine] if drain_seconds is None else drain_seconds, said)
        if job is None:
            job = engine.start(discard_state=bool(lost))
    return wait_until_serving(spec, home, engine, job, wait_seconds)


def job_status(spec: FleetSpec, home: Home) -> ServingJob | None:
    """Return the running streaming job of a fleet; None where none runs, or no engine answers that would know."""
    try:
        engine = serving_engine(spec, home)
        job = engine.find()
    except (EngineUnavailableError, InputError):
        return None
    return None if job is None else describe(spec, home, engine, job)


def _end(engine: ServingEngine[Any], job: EngineJob, seconds: float, said: Callable[[str], None]) -> None:
    try:
        state = engine.drain(job, seconds=seconds, for_good=False)
    except EngineUnavailableError as error:
        said(f"{error}; cancelling it, the new job goes on from its last checkpoint")
        engine.cancel(job, seconds=seconds)
    else:
        said(f"job {job.job_id} has answered everything it had read and ended; its state is {state}")


def _state_lost(spec: FleetSpec, lost: list[str]) -> str:
    lines = "\n".join(f"  {line}" for line in lost[:20])
    more = f"\n  and {len(lost) - 20} more" if len(lost) > 20 else ""
    return (
        f"fleet '{spec.fleet}': the new job's graph differs from that of the running job, so the state (what has been "
        f"read and answered) cannot go over. Nothing was stopped. What differs:\n{lines}{more}\n"
        "With --discard-state the new job starts with nothing: no request is lost, but those that are still in the "
        "source are answered again"
    )
