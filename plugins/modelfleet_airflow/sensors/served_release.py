"""Waiting until every live process serves a release."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator
from airflow.sdk.exceptions import AirflowFailException

if TYPE_CHECKING:
    from airflow.sdk import Context


class ServedReleaseSensor(BaseSensorOperator):
    """Succeeds when every process with a live lease serves a generation or a newer one.

    Without a live process it succeeds at once: there is nobody to wait for, and the next job starts with the newest
    release anyway.

    Args:
        fleet: The fleet.
        generation: The release's number, or the XCom of the task that published it.
    """

    template_fields: Sequence[str] = ("generation",)

    def __init__(self, *, fleet: str, generation: Any, **sensor_arguments: Any) -> None:
        super().__init__(**sensor_arguments)
        self.fleet = fleet
        self.generation = generation

    def poke(self, context: Context) -> bool:
        """Look once.

        Raises:
            AirflowFailException: A process refuses the release; waiting longer will not change its mind.
        """
        from modelfleet.home import Home
        from modelfleet.serving.status import fleet_status

        generation = int(self.generation)
        status = fleet_status(Home.from_environment(), self.fleet)
        self.log.info("%s", status.as_text())
        if not status.processes:
            self.log.warning("generation %s is published, unconfirmed: no live process", generation)
            return True
        for process in status.processes:
            for refusal in process.refused:
                if refusal.generation == generation and not refusal.passing:
                    raise AirflowFailException(f"{process.process} refuses generation {generation}: {refusal.reason}")
        return all((process.serving or 0) >= generation for process in status.processes)
