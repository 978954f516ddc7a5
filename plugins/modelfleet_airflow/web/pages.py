"""What the pages show, read from the ledger, the leases and the run folders; nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.errors import ModelfleetError, StepError
from modelfleet.home import Home
from modelfleet_airflow.dags.fleets import fleets_folder, read_fleets
from modelfleet_airflow.dags.loop_tasks import run_folder_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from modelfleet.releases.manifest import Release
    from modelfleet.run import Run
    from modelfleet.serving.status import FleetStatus

RELEASES_SHOWN = 20
DECISIONS_SHOWN = 2000


@dataclass(frozen=True)
class FleetPage:
    """One fleet on the overview.

    Attributes:
        name: Its name.
        status: What should serve and what does.
        history: Its last releases, newest first.
    """

    name: str
    status: FleetStatus
    history: list[Release]


@dataclass(frozen=True)
class RunPage:
    """One run.

    Attributes:
        fleet: The fleet's name.
        run: The run.
        steps: Each step's own result, by name of its file; None for a step that has not finished.
        decisions: Rows of the gate's table (entity, outcome, sentence and numbers); empty before the gate.
    """

    fleet: str
    run: Run
    steps: dict[str, dict[str, Any] | None]
    decisions: list[dict[str, Any]]


def fleet_pages(visible: Callable[[str], bool]) -> tuple[list[FleetPage], list[str]]:
    """Return every fleet, and one message for each spec or ledger that cannot be read.

    Args:
        visible: Whether a fleet may be shown, by its name.
    """
    from modelfleet.serving.status import fleet_history, fleet_status

    fleets, broken = read_fleets(fleets_folder(_a_dag_file()))
    home = Home.from_environment()
    pages, errors = [], [str(error) for error in broken]
    for fleet in filter(lambda fleet: visible(fleet.name), fleets):
        try:
            history = fleet_history(home, fleet.name)[:RELEASES_SHOWN]
            pages.append(FleetPage(fleet.name, fleet_status(home, fleet.name), history))
        except ModelfleetError as error:
            errors.append(f"{fleet.name}: {error}")
    return pages, errors


def run_page(dag_id: str, run_id: str) -> RunPage | None:
    """Return a run of a retrain DAG, or None where there is none.

    Args:
        dag_id: Any text; only ``<fleet>_retrain`` of a known fleet names a folder.
        run_id: Any text; it becomes a folder's name in the same safe way as when the run began.
    """
    from modelfleet.run import Run

    fleets, _ = read_fleets(fleets_folder(_a_dag_file()))
    fleet = next((fleet.name for fleet in fleets if dag_id == f"{fleet.name}_retrain"), None)
    if fleet is None:
        return None
    try:
        run = Run.load(Home.from_environment().fleet(fleet).runs / run_folder_name(run_id))
    except StepError:
        return None
    names = ("prepare", "validation", "train", "gate", "register", "promote", "confirm")
    steps = {name: run.read(name) if run.has(name) else None for name in names}
    decisions = run.table("decisions").slice(0, DECISIONS_SHOWN).to_pylist() if run.has("gate") else []
    return RunPage(fleet, run, steps, decisions)


def _a_dag_file() -> Path:
    from airflow.configuration import conf

    return Path(conf.get_mandatory_value("core", "dags_folder")) / "retrain.py"
