"""The DAGs as Airflow sees them: what is built from the specs, and at what cost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]
DAG_FILES = sorted((ROOT / "dags").glob("*.py"))
KINDS = {"retrain", "serve", "rollback", "score"}
FLEETS = {"shops", "clock", "events", "byhand"}
HEAVY = ("airflow.providers.google.cloud", "apache_beam", "mlflow", "sklearn", "torch", "pandas", "great_expectations")


def test_every_fleet_gets_every_dag_without_a_complaint(dagbag: DagBag) -> None:
    assert dagbag.import_errors == {}
    assert dagbag.captured_warnings == {}
    assert set(dagbag.dags) == {f"{fleet}_{kind}" for fleet in FLEETS for kind in KINDS}


@pytest.mark.parametrize("path", DAG_FILES, ids=lambda path: path.name)
def test_a_dag_file_is_wiring_only(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 80
    assert not [line for line in lines if line.lstrip().startswith(("def ", "class "))]


def test_importing_every_dag_loads_nothing_heavy() -> None:
    program = f"""
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder={str(ROOT / "dags")!r})
print("RESULT" + json.dumps([len(bag.dags), bag.import_errors, [m for m in {HEAVY!r} if m in sys.modules]]))
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        check=True,
    )
    line = next(line for line in result.stdout.splitlines() if line.startswith("RESULT"))
    assert json.loads(line.removeprefix("RESULT")) == [len(FLEETS) * len(KINDS), {}, []]


def test_the_retrain_dag_is_the_loop(dagbag: DagBag) -> None:
    dag = dagbag.dags["shops_retrain"]
    order = ["open_run", "prepare", "validate", "train", "gate", "register", "promote", "confirm", "report", "collect"]
    assert [task.task_id for task in dag.topological_sort()] == order
    for before, after in pairwise(order):
        assert after in dag.task_dict[before].downstream_task_ids
    assert {dag.task_dict[name].trigger_rule for name in order[-2:]} == {"none_failed"}
    assert {dag.task_dict[name].trigger_rule for name in order[:-2]} == {"all_success"}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_dag_runs_one_at_a_time_within_the_specs_limits(dagbag: DagBag, kind: str) -> None:
    dag = dagbag.dags[f"shops_{kind}"]
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert "shops" in dag.tags
    for task in dag.tasks:
        assert task.retries == (0 if task.task_id == "publish" else 2)
        assert task.execution_timeout.total_seconds() == 300


def test_the_schedule_is_the_specs(dagbag: DagBag) -> None:
    from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
    from airflow.sdk.definitions.timetables.assets import AssetTriggeredTimetable
    from airflow.sdk.definitions.timetables.simple import NullTimetable

    both = dagbag.dags["shops_retrain"].timetable
    assert isinstance(both, AssetOrTimeSchedule)
    assert both.timetable.expression == "0 3 * * 1"
    assert [asset.name for asset in both.asset_condition.objects] == ["shops_new_data"]
    clock = dagbag.dags["clock_retrain"].timetable
    assert isinstance(clock, CronTriggerTimetable)
    assert clock.expression == "0 4 * * *"
    events = dagbag.dags["events_retrain"].timetable
    assert isinstance(events, AssetTriggeredTimetable)
    assert isinstance(dagbag.dags["byhand_retrain"].timetable, NullTimetable)
    scores = dagbag.dags["shops_score"].timetable
    assert isinstance(scores, CronTriggerTimetable)
    assert scores.expression == "0 6 * * *"
    assert isinstance(dagbag.dags["clock_score"].timetable, NullTimetable)


def test_a_release_wakes_the_serve_dag(dagbag: DagBag) -> None:
    released = {asset.uri for asset in dagbag.dags["shops_retrain"].task_dict["promote"].outlets}
    watched = {asset.uri for asset in dagbag.dags["shops_serve"].timetable.asset_condition.objects}
    assert released == watched == {"x-modelfleet://shops/release"}


def test_only_publishing_a_rollback_is_never_tried_again(dagbag: DagBag) -> None:
    retries = {task.task_id: task.retries for task in dagbag.dags["clock_rollback"].tasks}
    assert retries == {"publish": 0, "confirm": 2}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("entities", "Masters"),
        ("entities", [1]),
        ("entities", [""]),
        ("overrides", []),
        ("overrides", '{"model": {}}'),
        ("reason", 3),
        ("engine", "spark"),
        ("force", "yes"),
    ],
)
def test_a_param_of_the_wrong_type_is_refused(dagbag: DagBag, name: str, value: object) -> None:
    from airflow.sdk.exceptions import ParamValidationError

    with pytest.raises(ParamValidationError):
        dagbag.dags["shops_retrain"].params.get_param(name).resolve(value)


def test_params_have_the_types_of_the_form(dagbag: DagBag) -> None:
    params = dagbag.dags["shops_retrain"].params
    assert params.dump() == {"entities": None, "overrides": None, "reason": None, "engine": "local", "force": False}
    assert params.get_param("engine").schema["enum"] == ["local", "flink", "dataflow"]
    assert dagbag.dags["shops_rollback"].params.dump() == {"action": "roll_back", "to": None, "reason": None}
    assert dagbag.dags["shops_serve"].params.dump() == {"action": "ensure", "discard_state": False}


def test_a_new_fleet_does_not_make_up_for_a_tick_just_missed(dagbag: DagBag) -> None:
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.trigger import CronTriggerTimetable

    from modelfleet.spec.fleet import FleetSpec
    from modelfleet_airflow.dags.assets import retrain_schedule

    missed = datetime.now(UTC) - timedelta(minutes=2)
    data = {"source": "sales.csv", "target": "amount"}
    schedule = {"cron": f"{missed.minute} {missed.hour} * * *", "on_new_data": False}
    spec = FleetSpec(fleet="shops", entity=("shop",), task="regression", data=data, schedule=schedule)
    said = retrain_schedule(spec)
    # what the scheduler makes of it
    clock = CronTriggerTimetable(said.expression, timezone="UTC", run_immediately=said.run_immediately)
    first = clock.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(earliest=None, latest=None, catchup=False)
    )
    assert first.run_after > datetime.now(UTC) + timedelta(hours=23)


def test_a_new_fleet_waits_for_the_first_tick_of_its_clock(airflow_db: None) -> None:
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    bag = DagBag(dag_folder=str(ROOT / "dags"), bundle_path=ROOT / "dags", bundle_name="dags-folder")
    sync_bag_to_db(bag, "dags-folder", None)
    with create_session() as session:
        rows = session.execute(select(DagModel.dag_id, DagModel.next_dagrun_create_after)).all()
    ticks = {dag_id: tick for dag_id, tick in rows}
    assert ticks["shops_retrain"] > datetime.now(UTC)
    assert ticks["clock_retrain"] > datetime.now(UTC)
    assert {ticks["events_retrain"], ticks["byhand_retrain"], ticks["shops_serve"]} == {None}
