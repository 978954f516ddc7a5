"""A real Flink cluster: job manager, two task managers, Beam's job server and a pool of workers, a process each.

They are started by the script and the configuration of the image, on loopback, and found by the environment, as
compose and Kubernetes do it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.csv as pc
import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.data.census import census_table
from modelfleet.engines.cluster import JOB_SERVER, REST, WORKERS, named_cluster
from modelfleet.engines.job_server import find_job_server
from modelfleet.engines.launch import run_job
from modelfleet.engines.loopback import free_port, listens
from modelfleet.engines.operate import drain_serving, stop_serving
from modelfleet.engines.options import pipeline_options
from modelfleet.engines.serve import start_serving
from modelfleet.errors import EngineUnavailableError, InputError
from modelfleet.home import Home
from modelfleet.run import Run
from modelfleet.spec.file import parse_spec
from tests.streaming.conftest import REPOSITORY, Shop, shop_spec

pytestmark = [pytest.mark.flink, pytest.mark.timeout(1200)]  # six Java and Python processes on a busy machine


@dataclass
class ClusterProcesses:
    """The parts of a cluster, each a process, and where they are."""

    home: Home
    jar: Path
    environment: dict[str, str] = field(default_factory=dict)
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self) -> None:
        rest, jobs, artifacts, rpc, pool = (free_port() for _ in range(5))
        conf = self.home.root / "conf"
        conf.mkdir(parents=True)
        text = (REPOSITORY / "infra/flink/cluster-conf.yaml").read_text()
        (conf / "flink-conf.yaml").write_text(text.replace("rpc.port: 6123", f"rpc.port: {rpc}"))
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "MODELFLEET_HOME": str(self.home.root),
            "MODELFLEET_JOB_SERVER_JAR": str(self.jar),
            "TMPDIR": str(self.home.root / "tmp"),
            "FLINK_JOB_MANAGER": "127.0.0.1",
            "FLINK_HOST": "127.0.0.1",
            "FLINK_BIND": "127.0.0.1",
            "FLINK_REST_PORT": str(rest),
            "FLINK_JOB_PORT": str(jobs),
            "FLINK_ARTIFACT_PORT": str(artifacts),
            "FLINK_CONF_DIR": str(conf),
            JOB_SERVER: f"127.0.0.1:{jobs}",
            REST: f"127.0.0.1:{rest}",
            WORKERS: f"127.0.0.1:{pool}",
        }
        self.flink("job-manager")
        for name in ("tm-1", "tm-2"):
            self.task_manager(name)
        self.flink("job-server")
        worker = REPOSITORY / "beam_jobs/worker.sh"
        module = "apache_beam.runners.worker.worker_pool_main"
        pool_command = [sys.executable, "-m", module, f"--service_port={pool}", f"--container_executable={worker}"]
        self.run("pool", pool_command)
        Shop.until(lambda: len(self.task_managers()) == 2 and listens(jobs) and listens(pool), 120)

    def flink(self, role: str, *arguments: str, name: str = "") -> None:
        self.run(name or role, [str(REPOSITORY / "infra/flink/start.sh"), role, *arguments])

    def task_manager(self, name: str) -> None:
        self.flink("task-manager", "-D", f"taskmanager.resource-id={name}", name=name)

    def run(self, name: str, command: list[str]) -> None:
        self.home.logs.mkdir(parents=True, exist_ok=True)
        with (self.home.logs / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self.environment[REST]}{path}", timeout=5) as answer:
            return dict(json.load(answer))

    def task_managers(self) -> dict[str, int]:
        """Return how many slots of each registered task manager are taken."""
        try:
            found = self.get("/taskmanagers")["taskmanagers"]
        except OSError:
            return {}
        return {each["id"]: each["slotsNumber"] - each["freeSlots"] for each in found}

    def stop(self) -> None:
        for process in reversed(self.running.values()):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, job_server_jar):
    processes = ClusterProcesses(Home(tmp_path_factory.mktemp("cluster")), job_server_jar)
    try:
        processes.start()
        yield processes
    finally:
        processes.stop()


@pytest.fixture
def named(cluster, monkeypatch):
    """Let this process find the cluster as Airflow's scheduler does."""
    for name in (JOB_SERVER, REST, WORKERS, "MODELFLEET_HOME"):
        monkeypatch.setenv(name, cluster.environment[name])
    return cluster


def test_a_fleet_is_prepared_and_trained_on_the_cluster(named, tmp_path):
    data = tmp_path / "census.csv"
    pc.write_csv(census_table(rows=1200, entities=6, seed=1), data)
    document = {"fleet": "census", "entity": "education", "task": "binary", "engine": "flink"}
    document |= {
        "data": {"source": str(data), "target": "income"},
        "model": {"min_rows": 20},
        "resources": {"shards": 2},
    }
    run = Run.open(named.home, parse_spec(document, origin="test"), run_id="on-the-cluster")
    run_job("beam_jobs.prepare", [f"--run={run.folder}"], pipeline_options(run.spec, "prepare", run.home))
    run.write("quarantine", {})
    run_job("beam_jobs.train", [f"--run={run.folder}"], pipeline_options(run.spec, "train", run.home))
    assert len(Bundle.open(run.candidate).entities) == 6
    states = {job["name"]: job["state"] for job in named.get("/jobs/overview")["jobs"]}
    assert len(states) == 2 and set(states.values()) == {"FINISHED"}


def test_serving_swaps_outlives_a_task_manager_and_goes_on_from_a_savepoint(named):
    shop = Shop(named.home, spec=shop_spec().model_copy(update={"engine": "flink"}))
    shop.release()
    job = start_serving(shop.spec, shop.home, wait_seconds=300)
    assert {answer.generation for answer in shop.ask(5)} == {1}

    shop.release()
    shop.until(lambda: shop.ask()[0].generation == 2)

    (busy,) = (name for name, taken in named.task_managers().items() if taken)
    os.killpg(named.running[busy].pid, signal.SIGKILL)
    assert {answer.generation for answer in shop.ask(5, seconds=120)} == {2}
    states = {each["jid"]: each["state"] for each in named.get("/jobs/overview")["jobs"]}
    assert states[job.job_id] == "RUNNING"  # the same job, on the other task manager
    assert [name for name, taken in named.task_managers().items() if taken and name != busy]

    answered = {answer.request_id for answer in shop.answers()}
    savepoint = drain_serving(shop.spec, shop.home)
    shop.drop([shop.request()])
    again = start_serving(shop.spec, shop.home, wait_seconds=300)
    assert again.job_id != job.job_id
    assert savepoint is not None and again.restored_from == savepoint
    shop.until(lambda: not shop.unanswered())
    ids = [answer.request_id for answer in shop.answers()]
    once = {name for name in answered if ids.count(name) == 1}
    assert len(once) > len(answered) / 2  # it did not begin with the first file again
    assert stop_serving(shop.spec, shop.home)


def test_what_the_environment_says_of_a_cluster_is_checked(monkeypatch, tmp_path):
    for name in (JOB_SERVER, REST, WORKERS):
        monkeypatch.delenv(name, raising=False)
    assert named_cluster() is None
    monkeypatch.setenv(JOB_SERVER, "flink-job-server:8099")
    with pytest.raises(InputError, match=f"{REST} is '', expected host:port"):
        named_cluster()
    monkeypatch.setenv(REST, "flink-job-manager")
    with pytest.raises(InputError, match="'flink-job-manager', expected host:port"):
        find_job_server(Home(tmp_path))
    port = free_port()
    for name in (JOB_SERVER, REST, WORKERS):
        monkeypatch.setenv(name, f"127.0.0.1:{port}")
    with pytest.raises(EngineUnavailableError, match=f"does not answer at 127.0.0.1:{port}"):
        find_job_server(Home(tmp_path))
