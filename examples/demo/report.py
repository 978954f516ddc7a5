"""What the demo did: the table at its end, and the same facts in ``demo.json``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class RunFacts:
    """One run of the retrain DAG.

    ``promoted + kept + refused`` is the number of entities: kept entities are still served by what served them
    before; refused counts all of them where the gate refused the whole run, and none otherwise.

    Attributes:
        dag_run_id: Airflow's name of it.
        state: Airflow's state of it.
        generation: The release it made; None where nothing was promoted.
        promoted: Entities whose candidate serves now.
        kept: Entities that keep what they had.
        refused: Entities of a refused run.
        seconds: From trigger to end.
        title: What the run was for.
    """

    dag_run_id: str
    state: str
    generation: int | None
    promoted: int
    kept: int
    refused: int
    seconds: float
    title: str


@dataclass(frozen=True)
class RequestFacts:
    """Requests in, and what became of them, counted by request id.

    Attributes:
        sent: Requests written.
        answered: Requests with at least one answer.
        dead_lettered: Requests with a dead letter and no answer.
        duplicated: Answers beyond the first of their request.
        lost: Requests with neither.
    """

    sent: int
    answered: int
    dead_lettered: int
    duplicated: int
    lost: int


@dataclass(frozen=True)
class DemoFacts:
    """Everything the demo reports.

    Attributes:
        entities: Number of entities of the fleet.
        runs: Runs of the retrain DAG, in order.
        generations_served: Generations that answered at least one request, in order.
        swap_seconds: For each release after the first: from its publication to the first answer with it by the
            last live process.
        requests: Counts of the traffic.
        rolled_back_to: Generation whose bundle serves again.
        addresses: Where to look.
    """

    entities: int
    runs: list[RunFacts]
    generations_served: list[int]
    swap_seconds: list[float]
    requests: RequestFacts
    rolled_back_to: int | None
    addresses: dict[str, str] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the facts as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def show(self, console: Console) -> None:
        """Print the facts as a table."""
        table = Table(title=f"What happened to {self.entities} entities", title_justify="left", box=SIMPLE_HEAD)
        for column in ("run", "state", "generation", "promoted", "kept", "refused", "seconds"):
            table.add_column(column, justify="left" if column in {"run", "state"} else "right")
        for run in self.runs:
            generation = "-" if run.generation is None else str(run.generation)
            counts = (str(run.promoted), str(run.kept), str(run.refused))
            table.add_row(run.title, run.state, generation, *counts, f"{run.seconds:.1f}")
        console.print(table)
        requests = self.requests
        console.print(
            f"requests: {requests.sent:,} sent, {requests.answered:,} answered, {requests.dead_lettered} dead letters,"
            f" {requests.duplicated} answered twice, {requests.lost} lost"
        )
        swaps = ", ".join(f"{seconds:.2f}" for seconds in self.swap_seconds)
        console.print(f"generations that answered: {self.generations_served}; swaps took {swaps} s")
        console.print(f"rolled back to the bundle of generation {self.rolled_back_to}")
        for name, address in self.addresses.items():
            console.print(f"{name:<10} {address}")
