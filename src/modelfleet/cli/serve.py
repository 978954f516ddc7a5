"""``modelfleet serve``: the streaming job."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import Annotated

import typer

from modelfleet.cli.output import JsonFlag, out, print_json, progress
from modelfleet.home import Home
from modelfleet.spec.file import load_spec


def serve(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    stop: Annotated[bool, typer.Option("--stop", help="Stop the running job instead.")] = False,
    pooled_only: Annotated[
        bool | None,
        typer.Option(
            "--pooled-only/--whole-fleet",
            help="The kill switch: let the pooled model answer for every entity, or end that. Nothing is restarted.",
        ),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why the switch is turned; recorded in the release.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Start the streaming job; it swaps to every later release by itself.

    Where a job server runs (`make up`), the job is started there and this returns. Otherwise both run here until
    Ctrl-C.
    """
    from modelfleet.engines import serve as engine

    home = Home.from_environment()
    fleet = load_spec(spec)
    if pooled_only is not None:
        _switch(home, fleet.fleet, pooled_only=pooled_only, reason=reason, as_json=as_json)
        return
    if stop:
        stopped = engine.stop_serving(fleet, home)
        if as_json:
            print_json({"fleet": fleet.fleet, "stopped": stopped})
        else:
            out.print(f"stopped the job of fleet '{fleet.fleet}'" if stopped else "no job was running")
        return

    def started(job: engine.ServingJob) -> None:
        if as_json:
            print_json(job.model_dump(mode="json"))
            return
        folders = home.fleet(fleet.fleet)
        out.print(f"job {job.job_id} serves generation {job.generation}", markup=False)
        out.print(f"  drop requests as JSONL into  {fleet.serving.requests or folders.requests}", markup=False)
        out.print(f"  answers                      {fleet.serving.answers or folders.answers}", markup=False)
        out.print(f"  dead letters                 {fleet.serving.dead_letters or folders.dead_letters}", markup=False)
        out.print("Ctrl-C stops it, unless it runs on a job server that was started elsewhere", markup=False)

    if not as_json:
        progress.print("starting the streaming job ...")
    engine.serve(fleet, home, started=started)


def _switch(home: Home, fleet: str, *, pooled_only: bool, reason: str, as_json: bool) -> None:
    from modelfleet.loop.by_hand import ByHand

    release = ByHand(home, fleet, actor=getpass.getuser()).set_mode(pooled_only=pooled_only, note=reason)
    if as_json:
        print_json(None if release is None else release.model_dump(mode="json"))
        return
    who = "the pooled model answers for every entity" if pooled_only else "every entity's own model answers"
    out.print(
        f"it is so already: {who}" if release is None else f"generation {release.generation}: {who}", markup=False
    )
