"""Ends a fleet's streaming job on Dataflow by the Google provider's operator. Imported only while a task runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.google.cloud.operators.dataflow import DataflowStopJobOperator
from airflow.sdk.bases.operator import ExecutorSafeguard

from modelfleet.engines.dataflow_serving import DataflowServing
from modelfleet.engines.operate import DRAIN_SECONDS

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

POLL_SECONDS = 5


def stop_on_dataflow(spec: FleetSpec, home: Home, *, drain: bool) -> str | None:
    """End the job and wait until it has.

    Args:
        spec: The fleet's spec.
        home: The root folder.
        drain: Whether everything that was read is answered first.

    Returns:
        The job's id; None where none was running.

    Raises:
        AirflowException: It has not ended in time.
    """
    engine = DataflowServing(spec, home)
    with engine.alone():
        job = engine.find()
        if job is None:
            return None
        # By its id: the provider takes a name for a prefix, and would end the jobs of other fleets too
        operator = DataflowStopJobOperator(
            task_id="stop",
            job_id=job.job_id,
            project_id=str(spec.engine_options["project"]),
            location=str(spec.engine_options["region"]),
            poll_sleep=POLL_SECONDS,
            stop_timeout=int(DRAIN_SECONDS["dataflow"]),
            drain_pipeline=drain,
        )
        ExecutorSafeguard.tracker.set(operator)  # this task runs it, so it is no stray operator
        operator.execute({})
        return job.job_id
