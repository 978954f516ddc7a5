"""``modelfleet run``: the whole loop, once."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from modelfleet.cli.output import JsonFlag, out, print_json, progress
from modelfleet.errors import GateRefusedError, PinnedError, RetryableError, SpecError
from modelfleet.home import Home
from modelfleet.loop.whole import Step, StepReport, run_loop
from modelfleet.run import Run
from modelfleet.spec.file import load_spec

MOST_NOTES = 30
MOST_WINNERS = 5


def run(
    spec: Annotated[Path, typer.Argument(help="The fleet's YAML file.")],
    overrides: Annotated[
        str, typer.Option(help="A JSON merge patch on the spec for this run only, or @FILE with one.")
    ] = "",
    entity: Annotated[list[str] | None, typer.Option(help="Train only this entity (repeatable).")] = None,
    reason: Annotated[str, typer.Option(help="Why; recorded with the run.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Promote in spite of the comparison, never in spite of thresholds.")
    ] = False,
    run_id: Annotated[
        str | None, typer.Option(help="Name of the run; one that has begun already is continued.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Validate, train, gate, register and promote, once, without Airflow."""
    started_run = Run.open(
        Home.from_environment(),
        load_spec(spec),
        run_id=run_id,
        overrides=read_patch(overrides),
        entities=entity or None,
        reason=reason,
        force=force,
        actor=getpass.getuser(),
    )
    if not as_json:
        progress.print(f"fleet [bold]{started_run.spec.fleet}[/], run {started_run.record.run_id}")
    # A spinner only on a terminal; elsewhere one plain line per finished step
    with progress.status("starting") as status:

        def begin(step: Step) -> None:
            status.update(f"{step.name} ...")

        def end(report: StepReport) -> None:
            if not as_json:
                text = "skipped: the gate refused the run" if report.skipped else summarise(report)
                progress.print(f"  {report.name:<9} {report.seconds:6.1f} s  {text}", markup=False)
                for note in notes(report):
                    progress.print(f"            note: {note}", markup=False)

        try:
            reports = run_loop(started_run, begin, end)
        except (RetryableError, KeyboardInterrupt):
            run_again = f"modelfleet run {spec} --run-id {started_run.record.run_id}"
            progress.print(f"what is done so far is kept; to go on from there: {run_again}", markup=False)
            raise
    results = {report.name: report.result for report in reports}
    if as_json:
        print_json(
            {
                "run_id": started_run.record.run_id,
                "folder": str(started_run.folder),
                "seconds": {report.name: round(report.seconds, 2) for report in reports},
                **results,
            }
        )
    else:
        _print_decisions(started_run)
    if results["gate"]["refused"]:
        reason = results["gate"]["reason"]
        raise GateRefusedError(f"run {started_run.record.run_id}: {reason}; the champions keep serving")
    if results["promote"]["outcome"] == "pinned":
        again = f"modelfleet run {spec} --run-id {started_run.record.run_id}"
        raise PinnedError(f"{results['promote']['reason']}, and `{again}` then promotes what this run has made")


def read_patch(text: str) -> dict[str, Any]:
    """Return the merge patch given on a command line: JSON, or ``@FILE``; empty text is an empty patch.

    Raises:
        SpecError: It is not a JSON object, or the file is not there.
    """
    if not text:
        return {}
    try:
        patch = json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)
    except OSError as error:
        raise SpecError(f"--overrides {text}: {error.strerror}") from error
    except ValueError as error:
        raise SpecError(f"--overrides: not valid JSON: {error}") from error
    if not isinstance(patch, dict):
        raise SpecError('--overrides: expected an object such as {"model": {"family": "logistic", "parameters": null}}')
    return patch


def summarise(report: StepReport) -> str:
    """Return one line saying what a step did."""
    result = report.result
    match report.name:
        case "prepare":
            bad = f", {result['rows_bad']:,} bad rows set aside" if result["rows_bad"] else ""
            text = f"{result['rows_prepared']:,} rows of {result['entities']:,} entities{bad}"
        case "validate":
            text = f"{result['quarantined']} entities quarantined, report in {result['data_docs']}"
        case "train":
            text = f"{result['models']:,} models, {len(result['failures'])} failures{winners(result)}"
        case "gate" if result["refused"]:
            text = f"REFUSED: {result['reason']}"
        case "gate":
            text = ", ".join(f"{result[name]} {name}" for name in ("promoted", "kept", "pooled", "undecidable"))
        case "register":
            text = f"MLflow version {result['model_version']}" if result["model_version"] else "logged, no version"
        case "promote" if result["generation"]:
            text = f"generation {result['generation']}"
        case _:
            text = str(result.get("reason") or result["outcome"])
    return text


def winners(result: Mapping[str, Any]) -> str:
    """Return how many entities each candidate won, the most successful first; nothing where there was no choice."""
    ranked = sorted(result.get("candidates", ()), key=lambda candidate: -candidate["chosen"])
    if not ranked:
        return ""
    shown = [f"{candidate['chosen']:,} {candidate['label']}" for candidate in ranked[:MOST_WINNERS]]
    left = ranked[MOST_WINNERS:]
    if left:
        shown.append(f"{sum(candidate['chosen'] for candidate in left):,} by {len(left)} others")
    return f"; chosen: {', '.join(shown)}"


def notes(report: StepReport) -> list[str]:
    """Return what a step left out of the models, one line each: nothing is dropped silently."""
    result = report.result
    if report.name == "prepare":
        ignored = [f"column '{name}' is no feature: {reason}" for name, reason in result["columns_ignored"].items()]
        capped = [
            f"column '{name}' has {levels:,} levels: the rarer ones count as one (data.max_levels)"
            for name, levels in result["levels_capped"].items()
        ]
        found = ignored + capped
    elif report.name == "train":
        found = [f"entity '{entity[:100]}' has no model: {reason}" for entity, reason in result["failures"].items()]
        if result["pooled_failure"]:
            found.append(f"there is no pooled model: {result['pooled_failure']}")
    else:
        return []
    more = len(found) - MOST_NOTES
    return [*found[:MOST_NOTES], f"and {more:,} more, in {report.name}.json"] if more > 0 else found


def _print_decisions(run: Run) -> None:
    from modelfleet.gating.report import decision_table
    from modelfleet.loop.gate import read_decisions

    out.print(decision_table(read_decisions(run), limit=40))
