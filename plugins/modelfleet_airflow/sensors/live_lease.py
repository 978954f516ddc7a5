"""Waiting until a streaming job answers at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class LiveLeaseSensor(BaseSensorOperator):
    """Succeeds when at least one process of a fleet holds a live lease and serves a generation.

    Args:
        fleet: The fleet.
    """

    def __init__(self, *, fleet: str, **sensor_arguments: Any) -> None:
        super().__init__(**sensor_arguments)
        self.fleet = fleet

    def poke(self, context: Context) -> bool:
        """Look once."""
        from modelfleet.home import Home
        from modelfleet.serving.status import fleet_status

        status = fleet_status(Home.from_environment(), self.fleet)
        self.log.info("%s", status.as_text())
        return any(process.serving is not None for process in status.processes)
