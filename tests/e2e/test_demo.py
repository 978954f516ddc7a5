"""The whole platform, for real: what the demo promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from infra.local.settings import REPOSITORY

if TYPE_CHECKING:
    from conftest import Played

pytestmark = [pytest.mark.e2e, pytest.mark.flink, pytest.mark.airflow, pytest.mark.mlflow, pytest.mark.timeout(900)]


def result(played: Played, run: int, step: str) -> dict[str, Any]:
    folder = played.story.fleet_home.runs / played.facts.runs[run].dag_run_id
    document: dict[str, Any] = json.loads((folder / f"{step}.json").read_text())
    return document


def test_the_first_run_makes_the_first_champions(played: Played) -> None:
    first = played.facts.runs[0]
    assert (first.state, first.generation) == ("success", 1)
    assert played.facts.entities == 16
    assert 0 < first.promoted < 16, "Preschool has one class and is served by the pooled model"
    assert result(played, 0, "confirm")["outcome"] == "unconfirmed", "nothing served yet"
    assert "Preschool" in result(played, 0, "quarantine")


def test_the_second_run_promotes_only_what_is_proven_better(played: Played) -> None:
    second = played.facts.runs[1]
    assert (second.state, second.generation) == ("success", 2)
    assert second.promoted > 0
    assert second.kept > 0
    assert second.promoted + second.kept == played.facts.entities
    assert result(played, 1, "confirm")["outcome"] == "confirmed"
    overrides = json.loads((REPOSITORY / "examples/demo/better_for_some.json").read_text())
    assert result(played, 1, "run")["overrides"] == overrides


def test_the_bad_run_is_refused_and_ends_in_success(played: Played) -> None:
    third = played.facts.runs[2]
    assert (third.state, third.generation, third.refused) == ("success", None, 16)
    tasks = {task["task_id"]: task["state"] for task in played.airflow.tasks("income_retrain", third.dag_run_id)}
    assert tasks["gate"] == "success"
    assert tasks["register"] == "success"
    assert (tasks["promote"], tasks["confirm"]) == ("skipped", "skipped")


def test_the_rollback_brings_the_first_bundle_back(played: Played) -> None:
    releases = played.story.ledger.all()
    assert [release.generation for release in releases] == [1, 2, 3]
    assert releases[2].reason == "rollback"
    assert releases[2].bundle == releases[0].bundle
    assert played.facts.rolled_back_to == 1
    assert played.facts.generations_served == [1, 2, 3]


def test_no_request_is_lost(played: Played) -> None:
    requests = played.facts.requests
    assert requests.sent > 500
    assert requests.lost == 0
    assert requests.dead_lettered > 0, "the traffic contains rows that are broken on purpose"
    assert requests.answered + requests.dead_lettered == requests.sent
    assert len(played.facts.swap_seconds) == 2


def test_mlflow_holds_the_versions_and_the_aliases(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=played.platform.mlflow_url, registry_uri=played.platform.mlflow_url)
    versions = client.search_model_versions("name='income'")
    assert sorted(int(version.version) for version in versions) == [1, 2]
    champion = client.get_model_version_by_alias("income", "champion")
    assert champion.version == played.story.ledger.all()[2].model_version, "the alias follows the rollback"
    experiment = client.get_experiment_by_name("modelfleet/income")
    assert experiment is not None
    gates = {run.data.tags["run_id"]: run.data.tags["gate"] for run in client.search_runs([experiment.experiment_id])}
    assert [gates[run.dag_run_id] for run in played.facts.runs] == ["accepted", "accepted", "refused"]


def test_status_and_history_agree_with_what_serves(played: Played) -> None:
    status = json.loads(command(played, "status", "fleets/income.yaml", "--json"))
    assert status["generation"] == 3
    assert [process["serving"] for process in status["processes"]] == [3]
    history = json.loads(command(played, "history", "fleets/income.yaml", "--json"))
    assert [release["generation"] for release in history] == [3, 2, 1]


def test_starting_the_serving_job_again_starts_no_second_one(played: Played) -> None:
    run = played.airflow.trigger("income_serve", {})
    ended = played.airflow.wait("income_serve", run, lambda *_: None, 120)
    assert ended.state == "success"
    status = json.loads(command(played, "status", "fleets/income.yaml", "--json"))
    assert len(status["processes"]) == 1


def test_data_docs_were_written(played: Played) -> None:
    assert (played.story.home.data_docs / "income" / "index.html").exists()


def test_bad_overrides_fail_at_once_and_change_nothing(played: Played) -> None:
    before = len(played.story.ledger.all())
    run = played.airflow.trigger("income_retrain", {"overrides": {"modl": {}}})
    ended = played.airflow.wait("income_retrain", run, lambda *_: None, 120)
    assert ended.state == "failed"
    assert "did you mean 'model'?" in played.airflow.log("income_retrain", run, "open_run")
    assert len(played.story.ledger.all()) == before


def command(played: Played, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "modelfleet", *words],
        cwd=REPOSITORY,
        env=os.environ | {"MODELFLEET_HOME": str(played.platform.home)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout
