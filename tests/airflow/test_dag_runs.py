"""Whole runs of the DAGs with Airflow's own `dag.test()`: real data, real Beam jobs, real MLflow store, real ledger.

The tests tell one story, so they stand in order and share one home.
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from pyarrow import csv

from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]


def _import_what_warns() -> None:
    """Import, with warnings off, the libraries whose import alone warns: dag.test() runs the steps in this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import great_expectations  # noqa: F401
        import mlflow.pyfunc  # noqa: F401


LOOP = ("open_run", "prepare", "validate", "train", "gate", "register", "promote", "confirm", "report", "collect")


@pytest.fixture(scope="module")
def home(airflow_home: Path) -> Home:
    """A home without releases, and the data of the fleet 'shops': two shops, amount = price * factor + noise."""
    _import_what_warns()
    shutil.rmtree(airflow_home / "home", ignore_errors=True)
    random = np.random.default_rng(5)
    lines = ["shop,price,day,amount"]
    for shop, factor in (("north", 3.0), ("south", -2.0)):
        for price, noise in zip(random.uniform(0, 10, 400), random.normal(0, 0.5, 400), strict=True):
            lines.append(f"{shop},{price:.4f},{random.integers(1, 8)},{price * factor + noise:.4f}")
    (airflow_home / "fleets" / "sales.csv").write_text("\n".join(lines) + "\n")
    return Home(airflow_home / "home")


@pytest.fixture
def play(home: Home, airflow_db: None) -> Any:
    """Run a DAG and return its run and the state of each task."""
    from airflow.dag_processing.dagbag import DagBag

    def run(dag_id: str, *, day: datetime | None = None, **conf: object) -> tuple[Played, dict[str, str]]:
        # Read anew each time: a run in this process leaves its conf in the DAG object's Params
        dag = DagBag(dag_folder=str(ROOT / "dags")).dags[dag_id]
        # Not None, which to Airflow is a run without a logical date
        ended = dag.test(run_conf=conf) if day is None else dag.test(logical_date=day, run_conf=conf)
        tasks = ended.get_task_instances()
        tries = {task.task_id: task.try_number for task in tasks}
        return Played(str(ended.state), tries), {task.task_id: str(task.state) for task in tasks}

    return run


@dataclass(frozen=True)
class Played:
    """A run that has ended: its state, and how often each task was tried."""

    state: str
    tries: dict[str, int]


def released(home: Home) -> list[int]:
    return [release.generation for release in Ledger(home.fleet("shops").releases).all()]


def release_events() -> list[dict[str, Any]]:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
    with create_session() as session:
        return list(session.scalars(query.where(AssetModel.name == "shops_release").order_by(AssetEvent.id)))


def test_bad_overrides_fail_at_once_and_leave_nothing(play: Any, home: Home) -> None:
    run, states = play("shops_retrain", overrides={"model": {"famly": "linear"}})
    assert run.state == "failed"
    assert states["open_run"] == "failed"
    assert {states[task] for task in LOOP[1:]} == {"upstream_failed"}
    assert run.tries["open_run"] == 1
    assert not home.fleet("shops").runs.exists()


def test_the_score_dag_says_that_there_is_nothing_to_score_with(play: Any, airflow_home: Path, tmp_path: Path) -> None:
    run, states = play(
        "shops_score", input=str(airflow_home / "fleets" / "sales.csv"), output=str(tmp_path / "out.parquet")
    )
    assert (run.state, states) == ("failed", {"score": "failed"})
    assert run.tries["score"] == 1


def test_the_first_run_promotes_and_tells_who_listens(play: Any, home: Home) -> None:
    run, states = play("shops_retrain", reason="first")
    assert run.state == "success"
    assert states == dict.fromkeys(LOOP, "success")
    assert released(home) == [1]
    (event,) = release_events()
    assert event["generation"] == 1
    assert event["reason"] == "promote"
    assert (home.fleet("shops").runs / event["run_id"] / "confirm.json").exists()


def test_a_refused_run_is_a_success_that_publishes_nothing(play: Any, home: Home) -> None:
    run, states = play(
        "shops_retrain",
        overrides={"model": {"features": ["day"]}, "gate": {"smallest_accepted_share": 1.0}},
    )
    assert run.state == "success"
    skipped = {task for task, state in states.items() if state == "skipped"}
    assert skipped == {"promote", "confirm"}
    assert {states[task] for task in LOOP if task not in skipped} == {"success"}
    assert released(home) == [1]
    assert len(release_events()) == 1


def test_missing_data_fails_prepare_without_a_retry(play: Any, home: Home) -> None:
    before = released(home)
    run, states = play("shops_retrain", overrides={"data": {"source": "/nowhere/sales.csv"}})
    assert run.state == "failed"
    assert (states["open_run"], states["prepare"], states["validate"]) == ("success", "failed", "upstream_failed")
    assert run.tries["prepare"] == 1
    assert released(home) == before


def test_force_promotes_in_spite_of_the_comparison(play: Any, home: Home) -> None:
    run, states = play("shops_retrain", overrides={"model": {"parameters": {"alpha": 50.0}}}, force=True)
    assert run.state == "success"
    assert states == dict.fromkeys(LOOP, "success")
    assert released(home) == [1, 2]
    assert [event["generation"] for event in release_events()] == [1, 2]


def test_a_rollback_is_a_new_release(play: Any, home: Home) -> None:
    run, states = play("shops_rollback", to=1, reason="better before")
    assert run.state == "success"
    assert states == {"publish": "success", "confirm": "success"}
    newest = Ledger(home.fleet("shops").releases).latest()
    assert newest is not None
    assert (newest.generation, newest.rolled_back_to, newest.note) == (3, 1, "better before")
    assert release_events()[-1]["rolled_back_to"] == 1


def test_a_pinned_fleet_promotes_nothing_and_the_run_says_so(play: Any, home: Home) -> None:
    run, states = play("shops_rollback", action="pin", reason="complaints since noon")
    assert (run.state, states) == ("success", {"publish": "success", "confirm": "success"})
    assert (released(home)[-1], release_events()[-1]["reason"]) == (4, "pin")

    run, states = play("shops_retrain", overrides={"model": {"parameters": {"alpha": 70.0}}}, force=True)
    assert run.state == "success"
    assert {task for task, state in states.items() if state == "skipped"} == {"promote", "confirm"}
    assert released(home)[-1] == 4
    from modelfleet.run import Run
    from modelfleet_airflow.dags.report import run_report

    newest = max(home.fleet("shops").runs.iterdir(), key=lambda folder: folder.stat().st_mtime)
    assert [line for line in run_report(Run.load(newest)) if "pinned by '" in line and "since noon" in line]

    run, states = play("shops_rollback", action="unpin")
    assert (run.state, release_events()[-1]["reason"]) == ("success", "unpin")
    assert released(home)[-1] == 5


def test_the_kill_switch_says_what_it_cannot_do(play: Any, home: Home) -> None:
    """This fleet has no pooled model: over shops with opposite slopes none was worth promoting."""
    run, states = play("shops_rollback", action="pooled_only")
    assert (run.state, states) == ("failed", {"publish": "failed", "confirm": "upstream_failed"})
    run, states = play("shops_rollback", action="whole_fleet")
    assert (run.state, states) == ("success", {"publish": "skipped", "confirm": "skipped"})
    assert released(home)[-1] == 5


def test_a_rollback_to_what_never_was_fails_with_the_ledger_unharmed(play: Any, home: Home) -> None:
    run, states = play("shops_rollback", to=99)
    assert run.state == "failed"
    assert states == {"publish": "failed", "confirm": "upstream_failed"}
    assert released(home) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_score_dag_scores_a_file(play: Any, home: Home, airflow_home: Path, tmp_path: Path, ending: str) -> None:
    source = airflow_home / "fleets" / "sales.csv"
    rows = csv.read_csv(source)
    if ending == "parquet":
        source = tmp_path / "sales.parquet"
        pq.write_table(rows, source, row_group_size=300)
    output = tmp_path / "scored.parquet"
    run, states = play("shops_score", input=str(source), output=str(output))
    assert (run.state, states) == ("success", {"score": "success"})
    found = pq.read_table(output)
    assert found.column_names == ["file", "row", "entity", "prediction", "score", "generation", "served_by"]
    assert found["row"].to_pylist() == list(range(800))
    assert found["entity"].equals(rows["shop"])
    newest = Ledger(home.fleet("shops").releases).latest()
    assert newest is not None
    assert set(found["generation"].to_pylist()) == {newest.generation}
    assert set(found["served_by"].to_pylist()) == {"entity"}
    assert np.abs(found["prediction"].to_numpy() - rows["amount"].to_numpy()).mean() < 1.0


def test_a_day_of_the_past_is_scored_from_its_file_into_its_file(play: Any, airflow_home: Path) -> None:
    """As Airflow's backfill makes the run: by its logical date, with nothing asked for."""
    fleets = airflow_home / "fleets"
    (fleets / "days").mkdir()
    (fleets / "days" / "2026-01-30.csv").write_text("shop,price,day\nnorth,1.0,2\nsouth,1.0,2\n")
    run, states = play("shops_score", day=datetime(2026, 1, 30, 6, tzinfo=UTC))
    assert (run.state, states) == ("success", {"score": "success"})
    assert pq.read_table(fleets / "scored" / "2026-01-30.parquet")["entity"].to_pylist() == ["north", "south"]
    run, states = play("shops_score", day=datetime(2026, 1, 31, 6, tzinfo=UTC))
    assert (run.state, states) == ("failed", {"score": "failed"})


def test_training_one_entity_keeps_the_champion_of_the_other(play: Any, home: Home) -> None:
    run, states = play(
        "shops_retrain", entities=["north"], overrides={"model": {"parameters": {"alpha": 100.0}}}, force=True
    )
    assert run.state == "success"
    assert states["promote"] == "success"
    from modelfleet.bundles.reader import Bundle

    newest = Ledger(home.fleet("shops").releases).latest()
    assert newest is not None
    assert set(Bundle.open(newest.bundle.uri).entities) == {"north", "south"}
