"""The serve DAG's actions, as Airflow runs them; the job itself is played, for tests/streaming runs the real one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modelfleet.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def play(airflow_db: None, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the serve DAG of a fleet and return the run's state, its tasks' states, and what was asked of the job."""
    from airflow.dag_processing.dagbag import DagBag

    from modelfleet.engines import operate, serve
    from modelfleet_airflow.sensors.live_lease import LiveLeaseSensor

    asked: list[tuple[str, dict[str, Any]]] = []

    def answer(name: str) -> Any:
        def call(spec: Any, home: Any, **settings: Any) -> Any:
            assert settings.pop("wait_seconds", None) is None  # only on Dataflow do sensors wait
            asked.append((name, settings))
            if settings.get("discard_state") is False and name == "restart" and spec.fleet == "clock":
                raise InputError("the new job's graph differs")
            return SimpleNamespace(job_id=name)

        return call

    monkeypatch.setattr(serve, "start_serving", answer("start"))
    for name in ("restart", "drain", "stop"):
        monkeypatch.setattr(operate, f"{name}_serving", answer(name))
    monkeypatch.setattr(LiveLeaseSensor, "poke", lambda *_: True)

    def run(fleet: str = "shops", **conf: object) -> tuple[str, dict[str, str], list[Any]]:
        asked.clear()
        ended = DagBag(dag_folder=str(ROOT / "dags")).dags[f"{fleet}_serve"].test(run_conf=conf)
        return str(ended.state), {t.task_id: str(t.state) for t in ended.get_task_instances()}, asked

    return run


@pytest.mark.parametrize(
    ("conf", "call"),
    [
        ({}, ("start", {})),
        ({"action": "restart"}, ("restart", {"discard_state": False})),
        ({"action": "restart", "discard_state": True}, ("restart", {"discard_state": True})),
    ],
)
def test_what_shall_answer_is_waited_for(play: Any, conf: dict[str, Any], call: Any) -> None:
    state, tasks, asked = play(**conf)
    assert (state, tasks) == ("success", {"operate": "success", "wait_until_it_answers": "success"})
    assert asked == [call]


@pytest.mark.parametrize("action", ["drain", "stop"])
def test_what_was_ended_is_not(play: Any, action: str) -> None:
    state, tasks, asked = play(action=action)
    assert (state, tasks) == ("success", {"operate": "success", "wait_until_it_answers": "skipped"})
    assert asked == [(action, {})]


def test_a_state_that_cannot_go_over_fails_the_task_at_once(play: Any) -> None:
    state, tasks, asked = play("clock", action="restart")
    assert (state, tasks) == ("failed", {"operate": "failed", "wait_until_it_answers": "upstream_failed"})
    assert len(asked) == 1
