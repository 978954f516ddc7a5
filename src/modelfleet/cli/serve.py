"""``modelfleet serve``: the streaming job."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelfleet.cli.output import JsonFlag, out, print_json, progress
from modelfleet.errors import InputError
from modelfleet.home import Home
from modelfleet.spec.file import load_spec
from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.sink import KafkaSinkSpec, PubsubSinkSpec
from modelfleet.spec.source import KafkaSourceSpec, PubsubSourceSpec

if TYPE_CHECKING:
    from modelfleet.engines.serve import ServingJob


def serve(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    stop: Annotated[bool, typer.Option("--stop", help="Stop the running job at once.")] = False,
    drain: Annotated[
        bool, typer.Option("--drain", help="Stop reading, answer all that was read, keep the state, end the job.")
    ] = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart", "--update", help="Drain the job and start one of the spec and code of now from its state."
        ),
    ] = False,
    discard_state: Annotated[
        bool, typer.Option("--discard-state", help="With --restart: go on even where the state cannot go over.")
    ] = False,
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
    """Start the streaming job, which swaps to every later release by itself; or stop, drain, restart or switch it.

    Where a job server runs (`make up`), the job is started there and this returns. Otherwise both run here until
    Ctrl-C.
    """
    from modelfleet.engines import operate
    from modelfleet.engines import serve as engine

    home = Home.from_environment()
    fleet = load_spec(spec)
    _check_one_action(stop=stop, drain=drain, restart=restart, switch=pooled_only is not None)
    if pooled_only is not None:
        _switch(home, fleet.fleet, pooled_only=pooled_only, reason=reason, as_json=as_json)
    elif stop:
        stopped = operate.stop_serving(fleet, home)
        text = f"stopped the job of fleet '{fleet.fleet}'" if stopped else "no job was running"
        _say({"fleet": fleet.fleet, "stopped": stopped}, text, as_json=as_json)
    elif drain:
        state = operate.drain_serving(fleet, home)
        text = f"drained the job of fleet '{fleet.fleet}'; the next one goes on from {state}"
        _say(
            {"fleet": fleet.fleet, "drained": state is not None, "state": state},
            text if state else "no job was running",
            as_json=as_json,
        )
    elif restart:
        job = operate.restart_serving(fleet, home, discard_state=discard_state, said=_progress(as_json=as_json))
        _started(job, fleet, home, as_json=as_json)
    else:
        _progress(as_json=as_json)("starting the streaming job ...")
        engine.serve(fleet, home, started=lambda job: _started(job, fleet, home, as_json=as_json))


def _check_one_action(**actions: bool) -> None:
    asked = [name for name, wanted in actions.items() if wanted]
    if len(asked) > 1:
        raise InputError(f"{' and '.join(asked)} at once: give one of --stop, --drain, --restart, --pooled-only")


def _progress(*, as_json: bool) -> Any:
    return (lambda text: None) if as_json else (lambda text: progress.print(text, markup=False))


def _say(document: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        out.print(text, markup=False)


def _started(job: ServingJob, fleet: FleetSpec, home: Home, *, as_json: bool) -> None:
    if as_json:
        print_json(job.model_dump(mode="json"))
        return
    out.print(f"job {job.job_id} serves generation {job.generation}", markup=False)
    for what, where in _places(fleet, home):
        out.print(f"  {what:<13} {where}", markup=False)
    out.print("Ctrl-C stops it, unless it runs on a job server that was started elsewhere", markup=False)


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


def _places(fleet: FleetSpec, home: Home) -> list[tuple[str, str]]:
    """Return what a person needs to know to send requests and to read what comes of them."""
    source, sink, folders = fleet.serving.source, fleet.serving.sink, home.fleet(fleet.fleet)
    if isinstance(source, KafkaSourceSpec):
        requests = f"Kafka topic {source.topic} at {source.bootstrap_servers or 'the local broker'}"
    elif isinstance(source, PubsubSourceSpec):
        requests = source.subscription
    else:
        requests = f"drop JSONL files into {source.requests or folders.requests}"
    if isinstance(sink, KafkaSinkSpec):
        at = f"at {sink.bootstrap_servers or 'the local broker'}"
        answers, letters = f"Kafka topic {sink.answers} {at}", f"Kafka topic {sink.dead_letters} {at}"
    elif isinstance(sink, PubsubSinkSpec):
        answers, letters = sink.answers, sink.dead_letters
    else:
        answers, letters = sink.answers or str(folders.answers), sink.dead_letters or str(folders.dead_letters)
    return [("requests", requests), ("answers", answers), ("dead letters", letters)]
