"""``modelfleet plan``: what a fleet of a given size would need and cost, before it is built."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.planning.figures import load_costs, load_prices
from modelfleet.planning.load import Load, runs_of
from modelfleet.planning.plan import Plan, make_plan
from modelfleet.spec.file import load_spec


def plan(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    entities: Annotated[int, typer.Option(min=1, help="Entities with a model of their own.")],
    rows: Annotated[int, typer.Option(min=1, help="Rows that one training run reads.")],
    qps: Annotated[float, typer.Option(min=0, help="Single requests per second, on average.")],
    chunk_qps: Annotated[float, typer.Option(min=0, help="Rows per second that come in chunks.")] = 0.0,
    runs: Annotated[
        float | None, typer.Option(min=0, help="Training runs a month; by the spec's schedule if left out.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=1, help="How long a training run may take.")] = 60.0,
    vcpus: Annotated[int, typer.Option(min=1, help="Cores of a worker.")] = 4,
    memory_gb: Annotated[float, typer.Option(min=1, help="Memory of a worker.")] = 16.0,
    prices: Annotated[Path | None, typer.Option(help="Your prices, as TOML; the shipped ones if left out.")] = None,
    costs: Annotated[Path | None, typer.Option(help="Your measured costs, likewise.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Reckon workers, memory, hours, storage, requests and money on Dataflow and on Flink, and what that rests on."""
    fleet = load_spec(spec)
    load = Load(
        entities=entities,
        rows=rows,
        qps=qps,
        chunk_qps=chunk_qps,
        runs=runs_of(fleet) if runs is None else runs,
        vcpus=vcpus,
        worker_gb=memory_gb,
        minutes=minutes,
        generations=fleet.retention.generations,
    )
    made = make_plan(fleet, load, load_costs(costs), load_prices(prices))
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    _print(made, fleet.fleet)


def _print(made: Plan, fleet: str) -> None:
    needs = Table(title=f"what fleet {fleet} needs", title_justify="left", box=SIMPLE_HEAD, padding=0)
    for column in ("part", "workers", "GB each", "and"):
        needs.add_column(column)
    training, serving, storage = made.training, made.serving, made.storage
    needs.add_row(
        "a training run",
        f"{training.workers:,}",
        f"{training.worker_gb:.1f}",
        f"{training.hours:.2f} hours; {training.cpu_hours:.2f} hours of one core if one process did it",
    )
    needs.add_row(
        "serving",
        f"{serving.workers:,}",
        f"{serving.worker_gb:.1f}",
        f"{serving.cores:.2f} cores busy; a swap takes each process {serving.swap_cpu_s:.1f} s of a core",
    )
    needs.add_row(
        "storage",
        "",
        "",
        f"{storage.bundle_gb:.2f} GB a bundle, {storage.kept_gb:.2f} kept; a month {storage.writes:,.0f} writes and "
        f"listings, {storage.reads:,.0f} reads",
    )
    out.print(needs)
    money = Table(title="US dollars a month", title_justify="left", box=SIMPLE_HEAD, padding=0)
    money.add_column("part")
    for engine in made.money:
        money.add_column(engine, justify="right")
    parts = [part for part in dict.fromkeys(p for by in made.money.values() for p in by) if part != "total"]
    for part in [*parts, "total"]:
        money.add_row(part, *(f"{by[part]:,.2f}" if part in by else "" for by in made.money.values()))
    out.print(money)
    for number, sentence in enumerate(made.assumptions, 1):
        out.print(f"{number:2}. {sentence}", markup=False)
    short = [
        f"{name}: {part.worker_gb:.1f} GB needed, a worker has {made.load['worker_gb']:g}"
        for name, part in (("a training run", training), ("serving", serving))
        if part.worker_gb > made.load["worker_gb"]
    ]
    for line in short:
        out.print(f"too little memory for {line}: take larger workers (--memory-gb), or bound it", markup=False)
