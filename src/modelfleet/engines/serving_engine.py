"""What an engine must be able to do with the streaming job of a fleet, whichever engine it is."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec


class EngineJob(Protocol):
    """A job as the engine sees it."""

    @property
    def job_id(self) -> str:
        """The engine's id of it."""
        ...

    @property
    def name(self) -> str:
        """The pipeline option ``job_name``."""
        ...

    @property
    def state(self) -> str:
        """Such as ``RUNNING``."""
        ...

    @property
    def started_at(self) -> datetime:
        """When it was submitted, with a time zone."""
        ...

    @property
    def url(self) -> str:
        """Where a person finds out more."""
        ...


Job = TypeVar("Job", bound=EngineJob)


class ServingEngine(Protocol[Job]):
    """Where the streaming job of one fleet runs. Every method raises ``EngineUnavailableError`` if nobody answers."""

    @property
    def restored_from(self) -> str | None:
        """The state that the newest job was started from; None if it started with nothing."""
        ...

    @property
    def poll_seconds(self) -> float:
        """How often a job may be looked at while it is waited for."""
        ...

    @property
    def logs(self) -> str:
        """Where a person finds out why a job does not come up, as a part of a sentence."""
        ...

    def alone(self) -> AbstractContextManager[None]:
        """Let one process at a time start or end the job."""
        ...

    def find(self) -> Job | None:
        """Return the fleet's job that has not ended, or None."""
        ...

    def runs(self, job: Job) -> bool | None:
        """Return whether every part of the job runs, so that it reads and writes; None once it has ended."""
        ...

    def start(self, *, discard_state: bool = False) -> Job:
        """Start the job from the newest state that there is, or from an older one, or with nothing.

        Args:
            discard_state: With nothing, whatever there is.
        """
        ...

    def update(self, job: Job) -> Job | None:
        """Replace the running job by one of the spec and the code as they are now, without a pause.

        Returns:
            The new job; None where the engine cannot do it, so that the old one must end before another starts.
        """
        ...

    def cancel(self, job: Job, *, seconds: float) -> None:
        """End the job at once; what it had read and not answered is read again by the next one."""
        ...

    def drain(self, job: Job, *, seconds: float, for_good: bool = True) -> Path | str:
        """Stop reading, let everything that was read be answered, keep the state, and end the job.

        Args:
            job: The running job.
            seconds: How long that may take.
            for_good: Whether a person wants it to stay ended, rather than to be followed by another.

        Returns:
            Where the state is.
        """
        ...

    def lost_by_restart(self) -> list[str]:
        """Return what of the running job's graph the new one does not share; its state cannot go over."""
        ...


def serving_engine(spec: FleetSpec, home: Home) -> ServingEngine[Any]:
    """Return the engine that a spec names.

    Raises:
        CredentialsError: The engine wants to know who calls, and nobody is named or trusted.
        CloudSetupError: The spec does not say where it is.
        EngineUnavailableError: It does not answer.
    """
    if spec.engine == "dataflow":
        from modelfleet.engines.dataflow_serving import DataflowServing

        return DataflowServing(spec, home)
    from modelfleet.engines.flink_serving import FlinkServing

    return FlinkServing(spec, home)
