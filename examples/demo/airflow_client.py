"""Airflow as a person uses it: through its REST API, with a password."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

ENDED = frozenset({"success", "failed"})
TASK_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


class AirflowError(RuntimeError):
    """Airflow refused a request, or a run did not end as it should."""


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG that has ended.

    Attributes:
        dag_run_id: Its name.
        state: ``success`` or ``failed``.
        seconds: From its creation to its end.
        tasks: State by task.
    """

    dag_run_id: str
    state: str
    seconds: float
    tasks: Mapping[str, str]


class AirflowClient:
    """A logged-in user.

    Attributes:
        url: Address of the API server.
    """

    def __init__(self, url: str, username: str, password: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=30)
        answer = self._http.post("/auth/token", json={"username": username, "password": password})
        self._http.headers["Authorization"] = f"Bearer {self._checked(answer)['access_token']}"

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def wait_for_dag(self, dag_id: str, timeout_seconds: float = 90) -> None:
        """Wait until Airflow has read a DAG file.

        Raises:
            AirflowError: It has not within the time limit; names the import errors.
        """
        deadline = time.monotonic() + timeout_seconds
        while self._http.get(f"/api/v2/dags/{dag_id}").status_code != httpx.codes.OK:
            if time.monotonic() > deadline:
                errors = self._checked(self._http.get("/api/v2/importErrors"))["import_errors"]
                raise AirflowError(f"Airflow does not know the DAG {dag_id}; import errors: {errors}")
            time.sleep(0.5)

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> str:
        """Start a run, as the button in the UI does, and return its name."""
        body = {
            "dag_run_id": f"demo_{datetime.now(UTC):%Y%m%dT%H%M%S%f}",
            "logical_date": None,
            "conf": dict(conf),
        }
        return str(self._checked(self._http.post(f"/api/v2/dags/{dag_id}/dagRuns", json=body))["dag_run_id"])

    def wait(self, dag_id: str, run: str, told: Callable[[str, str, float], None], timeout_seconds: float) -> DagRun:
        """Wait until a run ends.

        Args:
            dag_id: Its DAG.
            run: Its name.
            told: Called once for each task that ends, with its name, state and seconds.
            timeout_seconds: How long to wait.

        Raises:
            AirflowError: The time is up.
        """
        deadline = time.monotonic() + timeout_seconds
        seen: set[str] = set()
        while True:
            document = self._checked(self._http.get(f"/api/v2/dags/{dag_id}/dagRuns/{run}"))
            tasks = self.tasks(dag_id, run)
            for task in tasks:
                if task["state"] in TASK_ENDED and task["task_id"] not in seen:
                    seen.add(task["task_id"])
                    told(task["task_id"], task["state"], float(task["duration"] or 0.0))
            if document["state"] in ENDED:
                begun, ended = (datetime.fromisoformat(document[name]) for name in ("queued_at", "end_date"))
                states = {task["task_id"]: str(task["state"]) for task in tasks}
                return DagRun(run, document["state"], (ended - begun).total_seconds(), states)
            if time.monotonic() > deadline:
                states = {task["task_id"]: task["state"] for task in tasks}
                raise AirflowError(f"{dag_id} / {run} did not end within {timeout_seconds:.0f} s; tasks: {states}")
            time.sleep(0.4)

    def latest_run(self, dag_id: str) -> str | None:
        """Return the name of a DAG's newest run, or None."""
        query = {"order_by": "-run_after", "limit": 1}
        runs = self._checked(self._http.get(f"/api/v2/dags/{dag_id}/dagRuns", params=query))["dag_runs"]
        return str(runs[0]["dag_run_id"]) if runs else None

    def tasks(self, dag_id: str, run: str) -> list[dict[str, Any]]:
        """Return a run's tasks with their states, in the order they started."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances"
        tasks = self._checked(self._http.get(path))["task_instances"]
        return sorted(tasks, key=lambda task: task["start_date"] or "9999")

    def log(self, dag_id: str, run: str, task_id: str, last: int = 30) -> str:
        """Return the last lines of a task's log."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run}/taskInstances/{task_id}/logs/1"
        content = self._checked(self._http.get(path))["content"]
        return "\n".join(_text(line) for line in content[-last:])

    def _checked(self, answer: httpx.Response) -> Any:
        if answer.is_error:
            raise AirflowError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
        return answer.json()


def _text(line: Mapping[str, Any]) -> str:
    """Return a log line with the messages of the errors it carries."""
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or ()]
    return "\n".join([str(line.get("event", line)), *errors])
