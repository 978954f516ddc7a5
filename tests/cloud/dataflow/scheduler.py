"""A real Airflow: API server, scheduler and DAG processor as three processes, asked by its REST API alone."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from examples.demo.airflow_client import AirflowClient
from infra.local.settings import Ports, Secrets, environment
from modelfleet.engines.loopback import free_port

PARTS = {
    # Without --skip-serve-logs it opens a log server on every interface
    "scheduler": ["scheduler", "--skip-serve-logs"],
    "dag_processor": ["dag-processor"],
    "api_server": ["api-server"],
}
LOCKED = '"reason":"Database error"'
HEALTHY = ("metadatabase", "scheduler", "dag_processor")


class Airflow(AirflowClient):
    """Started from the start, until it is closed; also the user ``admin`` of it.

    Args:
        home: Home folder, of modelfleet and of Airflow.
        variables: Environment of its processes, beside what every local Airflow has.
    """

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        ports = Ports(airflow=free_port())
        self._logs = home / "logs"
        self._logs.mkdir(parents=True)
        self._environment = {
            **environment(home, ports, home / "unused.sock"),
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__MAX_TASK_RETRY_DELAY": "1",
            **variables,
        }
        del self._environment["MLFLOW_TRACKING_URI"]  # no server of it runs here
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        try:
            assert self._start("migrate", ["db", "migrate"]).wait(120) == 0, self._said("migrate")
            self._processes = {name: self._start(name, words) for name, words in PARTS.items()}
            self._wait(f"http://127.0.0.1:{ports.airflow}/api/v2/monitor/health")
            super().__init__(f"http://127.0.0.1:{ports.airflow}", "admin", Secrets.of(home).password)
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """End all of it, tasks that run included."""
        super().close()
        self._end()

    def mark_failed(self, dag_id: str, run: str, task: str) -> None:
        """Do what the button in the UI does."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}"
        self._insist(lambda: self._http.patch(path, json={"new_state": "failed"}))

    def clear(self, dag_id: str, run: str, task: str) -> None:
        """Have a task done again, whether it runs or has ended."""
        body = {"dry_run": False, "dag_run_id": run, "task_ids": [task], "only_failed": False}
        self._insist(lambda: self._http.post(f"/api/v2/dags/{dag_id}/clearTaskInstances", json=body))

    def ended(self, dag_id: str, run: str, seconds: float = 300) -> tuple[str, dict[str, tuple[str, int]]]:
        """Wait until a run has ended; return its state, and each task's with the number of its last try."""
        found = self.wait(dag_id, run, lambda *_: None, seconds)
        tasks = self.tasks(dag_id, run)
        return found.state, {task["task_id"]: (str(task["state"]), int(task["try_number"])) for task in tasks}

    def wait_for_line(
        self, words: str, dag_id: str, run: str, task: str, *, attempt: int, seconds: float = 120
    ) -> None:
        """Wait until the log of a task's try has a line with these words."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task}/logs/{attempt}"
        deadline = time.monotonic() + seconds
        while words not in (log := self._http.get(path).text):
            assert time.monotonic() < deadline, log[-4000:]
            time.sleep(0.2)

    def launchers(self, module: str) -> list[psutil.Process]:
        """Return the processes that run ``python -m <module>`` for a task; each one's parent is the task's own."""
        tree = psutil.Process(self._processes["scheduler"].pid).children(recursive=True)
        return [process for process in tree if module in _command(process)]

    def _insist(self, ask: Callable[[], httpx.Response], seconds: float = 60) -> None:
        """Ask until the database of the API server, SQLite, is not locked by the scheduler."""
        deadline = time.monotonic() + seconds
        while LOCKED in (answer := ask()).text and time.monotonic() < deadline:
            time.sleep(0.2)
        self._checked(answer)

    def _start(self, name: str, words: list[str]) -> subprocess.Popen[bytes]:
        with (self._logs / f"{name}.log").open("wb") as log:
            return subprocess.Popen(["airflow", *words], env=self._environment, stdout=log, stderr=log)

    def _wait(self, url: str, seconds: float = 180) -> None:
        deadline = time.monotonic() + seconds
        while True:
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            assert not ended, self._said(ended[0])
            health: dict[str, Any] = {}
            with contextlib.suppress(httpx.HTTPError, json.JSONDecodeError):
                health = httpx.get(url, timeout=5).json()
            if all(health.get(part, {}).get("status") == "healthy" for part in HEALTHY):
                return
            assert time.monotonic() < deadline, f"{health}; {self._said('api_server')}"
            time.sleep(0.2)

    def _said(self, name: str) -> str:
        return f"{name}: {(self._logs / f'{name}.log').read_text(errors='replace')[-4000:]}"

    def _end(self) -> None:
        # Nothing of it is kept, and its scheduler has been seen to hang where it is asked to end
        tree = [each for part in self._processes.values() for each in _family(part.pid)]
        for process in tree:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for part in self._processes.values():
            part.wait()


def _family(pid: int) -> list[psutil.Process]:
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return []
