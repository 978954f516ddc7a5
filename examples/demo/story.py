"""What the demo does, act by act, on a platform that is up."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from examples.demo.airflow_client import AirflowClient, AirflowError, DagRun
from examples.demo.report import DemoFacts, RequestFacts, RunFacts
from examples.demo.traffic import Traffic
from infra.local.settings import REPOSITORY
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.serving.lease import LeaseFolder

FLEET = "income"
HERE = Path(__file__).parent
REQUESTS_PER_SECOND = 50.0
BAD_EVERY = 500
"""One request in so many is broken on purpose, to show a dead letter."""
RUN_LIMIT_SECONDS = 240.0


class Story:
    """The acts, in order; each one leaves its facts.

    Attributes:
        airflow: A logged-in user.
        home: The platform's home folder.
        say: Told, in one line, what is going on.
    """

    def __init__(self, airflow: AirflowClient, home: Path, say: Callable[[str], None]) -> None:
        self.airflow = airflow
        self.home = Home(home)
        self.say = say
        self.fleet_home = self.home.fleet(FLEET)
        self.ledger = Ledger(self.fleet_home.releases)
        self.traffic = Traffic(
            requests=self.fleet_home.requests,
            answers=self.fleet_home.answers,
            dead_letters=self.fleet_home.dead_letters,
            rows=REPOSITORY / "examples/adult/adult.test",
            per_second=REQUESTS_PER_SECOND,
            bad_every=BAD_EVERY,
        )
        self.runs: list[RunFacts] = []
        self.entities = 0
        self.rolled_back_to: int | None = None

    def play(self) -> None:
        """Play every act; the traffic is stopped whatever happens."""
        self.airflow.wait_for_dag(f"{FLEET}_retrain")
        self.retrain("the first champions", {"reason": "demo: the first champions"})
        self.start_serving()
        self.traffic.start()
        try:
            self.retrain(
                "better for some",
                {"reason": "demo: deeper trees", "overrides": _patch("better_for_some.json")},
            )
            self._wait_for_answers_of(self._newest_generation())
            self.retrain(
                "deliberately bad",
                {"reason": "demo: nearly no features", "overrides": _patch("deliberately_bad.json")},
            )
            self.roll_back()
            self._wait_for_answers_of(self._newest_generation())
        finally:
            self.say("stopping the traffic and waiting for the last answers")
            self.traffic.stop(settle_seconds=30)

    def retrain(self, title: str, conf: Mapping[str, Any]) -> RunFacts:
        """Run the retrain DAG and keep its facts.

        Raises:
            AirflowError: The run failed.
        """
        self.say(f"[bold]{title}[/]: triggering {FLEET}_retrain")
        ended = self._run(f"{FLEET}_retrain", conf)
        folder = self._run_folder(ended.dag_run_id)
        gate = json.loads((folder / "gate.json").read_text())
        self.entities = int(gate["entities"])
        refused = bool(gate["refused"])
        promoted = 0 if refused else int(gate["promoted"])
        generation = None
        if not refused:
            generation = json.loads((folder / "promote.json").read_text())["generation"]
        facts = RunFacts(
            dag_run_id=ended.dag_run_id,
            state=ended.state,
            generation=generation,
            promoted=promoted,
            kept=0 if refused else self.entities - promoted,
            refused=self.entities if refused else 0,
            seconds=round(ended.seconds, 1),
            title=title,
        )
        self.runs.append(facts)
        if refused:
            self.say(f"  the gate refused the whole run: {gate['reason']}")
        else:
            self.say(f"  {facts.promoted} of {self.entities} entities promoted, {facts.kept} keep what they had")
        return facts

    def start_serving(self) -> None:
        """Wait for the serve DAG, which the first release started, and for a live process."""
        dag = f"{FLEET}_serve"
        self.say(f"the release starts {dag}")
        deadline = time.monotonic() + 60
        while (run := self.airflow.latest_run(dag)) is None:
            if time.monotonic() > deadline:
                raise AirflowError(f"the release asset did not start {dag}")
            time.sleep(0.3)
        self._ended(dag, run)
        live = LeaseFolder(self.fleet_home.leases).live(datetime.now(UTC))
        self.say(f"  {len(live)} process serves generation {live[0].serving if live else '?'}")

    def roll_back(self) -> None:
        """Bring the bundle of the first release back, by the rollback DAG."""
        target = self.ledger.all()[0].generation
        self.say(f"[bold]rolling back[/] to the bundle of generation {target}")
        self._run(f"{FLEET}_rollback", {"to": target, "reason": "demo: the earlier champions, please"})
        newest = self.ledger.latest()
        self.rolled_back_to = newest.rolled_back_to if newest else None
        self.say(f"  generation {self._newest_generation()} names the bundle of generation {self.rolled_back_to}")

    def facts(self, addresses: Mapping[str, str]) -> DemoFacts:
        """Return everything that happened."""
        counts = self.traffic.summary()
        return DemoFacts(
            entities=self.entities,
            runs=self.runs,
            generations_served=sorted(counts.generations),
            swap_seconds=self._swap_seconds(),
            requests=RequestFacts(
                sent=counts.sent,
                answered=counts.answered,
                dead_lettered=counts.dead_lettered,
                duplicated=counts.duplicated,
                lost=counts.lost,
            ),
            rolled_back_to=self.rolled_back_to,
            addresses=dict(addresses),
        )

    def _swap_seconds(self) -> list[float]:
        """For each release after the first: publication to the first answer with it by the last process."""
        first_answers = self.traffic.first_answers()
        return [
            round(max(first_answers[release.generation].values()) - release.created_at.timestamp(), 3)
            for release in self.ledger.all()[1:]
            if release.generation in first_answers
        ]

    def _wait_for_answers_of(self, generation: int) -> None:
        deadline = time.monotonic() + 60
        while generation not in self.traffic.first_answers():
            if time.monotonic() > deadline:
                raise AirflowError(f"no answer names generation {generation}")
            time.sleep(0.3)
        self.say(f"  the stream answers with generation {generation}")

    def _newest_generation(self) -> int:
        newest = self.ledger.latest()
        return newest.generation if newest else 0

    def _run_folder(self, dag_run_id: str) -> Path:
        return self.fleet_home.runs / dag_run_id

    def _run(self, dag: str, conf: Mapping[str, Any]) -> DagRun:
        return self._ended(dag, self.airflow.trigger(dag, conf))

    def _ended(self, dag: str, run: str) -> DagRun:
        def told(task: str, state: str, seconds: float) -> None:
            self.say(f"  {task:<12} {state:<8} {seconds:5.1f} s")

        ended = self.airflow.wait(dag, run, told, RUN_LIMIT_SECONDS)
        if ended.state != "success":
            failed = next((task for task, state in ended.tasks.items() if state == "failed"), None)
            log = self.airflow.log(dag, run, failed) if failed else ""
            raise AirflowError(f"{dag} / {run} ended {ended.state}; last lines of {failed}:\n{log}")
        return ended


def _patch(name: str) -> Any:
    return json.loads((HERE / name).read_text())
