"""Batch and streaming jobs through the DAGs, by a real scheduler and the Google provider's operators and sensor."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from modelfleet.spec import FleetSpec, override
from tests.cloud.dataflow.conftest import OPTIONS, REPOSITORY
from tests.cloud.dataflow.job_store import JobStore
from tests.cloud.dataflow.loopback_google import PROJECT, Google
from tests.cloud.dataflow.scheduler import Airflow
from tests.cloud.dataflow.streaming_workers import ANSWERS, DEAD, SUBSCRIPTION, StreamingWorkers
from tests.cloud.dataflow.submission import works
from tests.streaming.conftest import Shop

Scoring = Callable[[], tuple[str, Path]]


@pytest.fixture(scope="module")
def shop(shop: Shop) -> Shop:
    """The fleet, to be scored and served on Dataflow."""
    shop.spec = override(
        shop.spec,
        {
            "engine": "dataflow",
            "engine_options": OPTIONS,
            "serving": {
                "source": {"kind": "pubsub", "subscription": SUBSCRIPTION},
                "sink": {"kind": "pubsub", "answers": ANSWERS, "dead_letters": DEAD, "large": "/var/large"},
            },
        },
    )
    return shop


@pytest.fixture(scope="module")
def airflow(started_google: Google, shop: Shop) -> Iterator[Airflow]:
    """One Airflow for all tests here, which is sent to Google on loopback."""
    fleets = shop.home.root / "specs"
    fleets.mkdir()
    (fleets / "shop.yaml").write_text(shop.spec.model_dump_json(exclude_unset=True))
    connection = {
        "conn_type": "google_cloud_platform",
        "extra": {"key_path": str(started_google.key), "project": PROJECT},
    }
    airflow = Airflow(
        shop.home.root,
        {
            **started_google.environment,
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
            "MODELFLEET_FLEETS": str(fleets),
            "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}",
        },
    )
    airflow.wait_for_dag("shop_score")
    airflow.wait_for_dag("shop_serve")
    yield airflow
    airflow.close()


@pytest.fixture
def score(airflow: Airflow, google: Google, tmp_path: Path) -> Scoring:
    """Start a run of the batch DAG, and wait until its job runs."""

    def start() -> tuple[str, Path]:
        (tmp_path / "new.csv").write_text("store,x\na,1\nb,2\n")
        output = tmp_path / "scored.parquet"
        run = airflow.trigger("shop_score", {"input": str(tmp_path / "new.csv"), "output": str(output)})
        google.store.wait(lambda store: states(store) == ["RUNNING"], seconds=120)
        return run, output

    return start


def states(store: JobStore) -> list[str]:
    return [str(job["currentState"]).removeprefix("JOB_STATE_") for job in list(store.jobs.values())]


def test_a_task_that_was_killed_is_tried_again_and_finds_its_job(
    airflow: Airflow, google: Google, score: Scoring
) -> None:
    run, output = score()
    (launcher,) = airflow.launchers("beam_jobs.score")
    launcher.parent().kill()
    launcher.wait(60)
    works(google)
    assert airflow.ended("shop_score", run) == ("success", {"score": ("success", 2)})
    assert pq.read_table(output)["entity"].to_pylist() == ["a", "b"]
    (job,) = google.store.created
    assert job["type"] == "JOB_TYPE_BATCH"
    assert job["labels"]["modelfleet_job"] == "score"
    assert "airflow-version" in job["labels"]
    assert google.store.asked == []


def test_what_a_person_clears_or_fails_is_cancelled(airflow: Airflow, google: Google, score: Scoring) -> None:
    """The second try gets its own job, once Dataflow has ended the first, for a name is taken once."""
    google.store.linger = True
    run, output = score()
    airflow.clear("shop_score", run, "score")
    airflow.wait_for_line("still CANCELLING; waiting for its end", "shop_score", run, "score", attempt=2)
    google.store.linger = False
    google.store.wait(lambda store: states(store) == ["CANCELLED", "RUNNING"], seconds=120)
    airflow.mark_failed("shop_score", run, "score")
    assert airflow.ended("shop_score", run) == ("failed", {"score": ("failed", 2)})
    google.store.wait(lambda store: "RUNNING" not in states(store))
    first, second = google.store.jobs
    assert {(first, "JOB_STATE_CANCELLED"), (second, "JOB_STATE_CANCELLED")} == set(google.store.asked)
    assert not output.exists()


def test_the_streaming_job_is_started_looked_at_and_drained(airflow: Airflow, google: Google, shop: Shop) -> None:
    google.rest.pubsub = {SUBSCRIPTION, ANSWERS, DEAD}
    spec: FleetSpec = shop.spec
    with StreamingWorkers(google, spec, shop.home).at_work():
        started = airflow.ended("shop_serve", airflow.trigger("shop_serve", {}))
        assert started == (
            "success",
            dict.fromkeys(("operate", "wait_until_it_runs", "wait_until_it_answers"), ("success", 1)),
        )
        state, tasks = airflow.ended("shop_serve", airflow.trigger("shop_serve", {"action": "drain"}))
    assert (state, tasks["operate"][0]) == ("success", "success")
    assert {tasks[name][0] for name in ("wait_until_it_runs", "wait_until_it_answers")} == {"skipped"}
    (job,) = google.store.created
    assert job["type"] == "JOB_TYPE_STREAMING"
    (job_id,) = google.store.jobs
    assert google.store.asked == [(job_id, "JOB_STATE_DRAINED")]
