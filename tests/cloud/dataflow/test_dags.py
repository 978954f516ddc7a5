"""One batch and one streaming job through the DAGs, by the Google provider's operators and sensor."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from modelfleet.spec import FleetSpec, override
from tests.cloud.dataflow.conftest import OPTIONS, REPOSITORY
from tests.cloud.dataflow.loopback_google import PROJECT, Google
from tests.cloud.dataflow.streaming_workers import ANSWERS, DEAD, SUBSCRIPTION, StreamingWorkers
from tests.cloud.dataflow.submission import works
from tests.streaming.conftest import Shop

Play = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def fleet(google: Google, shop: Shop, tmp_path: Path) -> FleetSpec:
    """A fleet with a release, whose spec is in the folder that Airflow reads."""
    google.rest.pubsub = {SUBSCRIPTION, ANSWERS, DEAD}
    shop.release()
    spec = override(
        shop.spec,
        {
            "engine": "dataflow",
            "engine_options": OPTIONS,
            "resources": {"retries": 0},
            "serving": {
                "source": {"kind": "pubsub", "subscription": SUBSCRIPTION},
                "sink": {"kind": "pubsub", "answers": ANSWERS, "dead_letters": DEAD, "large": "/var/large"},
            },
        },
    )
    (tmp_path / "fleets").mkdir()
    (tmp_path / "fleets/shop.yaml").write_text(spec.model_dump_json(exclude_unset=True))
    return spec


@pytest.fixture
def environment(google: Google, fleet: FleetSpec, shop: Shop, tmp_path: Path) -> dict[str, str]:
    connection = {"conn_type": "google_cloud_platform", "extra": {"key_path": str(google.key), "project": PROJECT}}
    return {
        **os.environ,
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps(connection),
        "MODELFLEET_FLEETS": str(tmp_path / "fleets"),
        "MODELFLEET_HOME": str(shop.home.root),
        "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'plugins'}",
    }


@pytest.fixture
def play(environment: dict[str, str]) -> Play:
    """Play DAGs, one after another, and return what became of each."""

    def run(*dags: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        asked = [text for dag, conf in dags for text in (dag, json.dumps(conf))]
        done = subprocess.run(
            [sys.executable, "-m", "tests.cloud.dataflow.play_dag", *asked],
            cwd=REPOSITORY,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        played = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("PLAYED ")]
        assert len(played) == len(dags), done.stdout[-6000:]
        for each in played:
            assert each["state"] == "success", done.stdout[-6000:]
        return played

    return run


def test_a_batch_and_a_streaming_job_by_the_dags(
    google: Google, fleet: FleetSpec, shop: Shop, play: Play, tmp_path: Path
) -> None:
    works(google)
    (tmp_path / "new.csv").write_text("store,x\na,1\nb,2\n")
    output = tmp_path / "scored.parquet"
    with StreamingWorkers(google, fleet, shop.home).at_work():
        scored, started, ended = play(
            ("shop_score", {"input": str(tmp_path / "new.csv"), "output": str(output)}),
            ("shop_serve", {}),
            ("shop_serve", {"action": "drain"}),
        )
    assert scored["tasks"] == {"score": "success"}
    assert pq.read_table(output)["entity"].to_pylist() == ["a", "b"]
    assert started["tasks"] == dict.fromkeys(("operate", "wait_until_it_runs", "wait_until_it_answers"), "success")
    assert ended["tasks"] == {
        "operate": "success",
        "wait_until_it_runs": "skipped",
        "wait_until_it_answers": "skipped",
    }
    batch, streaming = google.store.created
    assert (batch["type"], streaming["type"]) == ("JOB_TYPE_BATCH", "JOB_TYPE_STREAMING")
    assert batch["labels"]["modelfleet_job"] == "score"
    assert "airflow-version" in batch["labels"]
    newest = list(google.store.jobs)[-1]
    assert google.store.asked == [(newest, "JOB_STATE_DRAINED")]


KILLED = """
import sys, threading
from modelfleet_airflow.operators.beam_job import BeamJobOperator

operator = BeamJobOperator(task_id="score", job="score", spec=sys.argv[1],
                           arguments={"input": sys.argv[2], "output": sys.argv[3]})
threading.Thread(target=lambda: (sys.stdin.readline(), operator.on_kill()), daemon=True).start()
class Task:
    def xcom_push(self, **_): print("PUSHED", flush=True)
operator.execute({"ti": Task()})
"""


def test_a_killed_task_cancels_its_job(
    google: Google, fleet: FleetSpec, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "new.csv").write_text("store,x\na,1\n")
    arguments = [str(tmp_path / name) for name in ("fleets/shop.yaml", "new.csv", "scored.parquet")]
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as task:
        assert task.stdin is not None and task.stdout is not None
        log = []
        for line in task.stdout:  # the id has been found, and would be handed to sensors
            log.append(line)
            if line.startswith("PUSHED"):
                break
        rest: list[str] = []
        reader = threading.Thread(target=lambda: rest.extend(task.stdout or ()), daemon=True)
        reader.start()
        task.stdin.write("\n")
        task.stdin.flush()
        assert task.wait(120) != 0
        reader.join()
    assert len(google.store.created) == 1, "".join(log + rest)[-6000:]
    (job,) = google.store.jobs
    assert (job, "JOB_STATE_CANCELLED") in google.store.asked
    assert not Path(arguments[-1]).exists()
