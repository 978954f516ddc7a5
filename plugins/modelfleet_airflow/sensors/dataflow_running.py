"""Waiting until Dataflow has machines for a streaming job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from modelfleet.spec.fleet import FleetSpec

POKE_SECONDS = 10.0
TIMEOUT_SECONDS = 900.0


class DataflowRunningSensor(BaseSensorOperator):
    """Looks by the Google provider's sensor, imported only while it looks; a job that has ended fails it.

    It is rescheduled between two looks, so that it takes no worker for the minutes that machines take to start.

    Args:
        spec: The fleet's spec, which says in which project and region.
        job: The job's id, or the XCom of the task that started it.
    """

    template_fields: Sequence[str] = ("job_id",)

    def __init__(self, *, spec: FleetSpec, job: Any, **sensor_arguments: Any) -> None:
        defaults = {"mode": "reschedule", "poke_interval": POKE_SECONDS, "timeout": TIMEOUT_SECONDS}
        super().__init__(**{**defaults, **sensor_arguments})
        self.project = str(spec.engine_options.get("project") or "")
        self.region = str(spec.engine_options.get("region") or "")
        self.job_id = job

    def poke(self, context: Context) -> bool:
        """Look once.

        Raises:
            AirflowException: The job has ended.
        """
        from airflow.providers.google.cloud.sensors.dataflow import DataflowJobStatusSensor

        sensor = DataflowJobStatusSensor(
            task_id=self.task_id,
            job_id=str(self.job_id),
            expected_statuses={"JOB_STATE_RUNNING"},
            project_id=self.project,
            location=self.region,
        )
        return bool(sensor.poke(context))
