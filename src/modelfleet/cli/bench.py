"""``modelfleet bench``: how fast this is on this machine, beside how people do the same without it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelfleet.cli.output import JsonFlag, out, print_json
from modelfleet.errors import InputError, ModelfleetError, error_named
from modelfleet.home import Home

if TYPE_CHECKING:
    from rich.table import Table


class Suite(StrEnum):
    """What can be measured."""

    TRAIN = "train"
    SCORE = "score"
    REGISTER = "register"
    SERVE = "serve"


def bench(
    suite: Annotated[Suite, typer.Argument(help="What to measure.")],
    quick: Annotated[
        bool, typer.Option("--quick", help="Small sizes: does everything run? They prove nothing.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help="Measure only this work (repeatable).")] = None,
    against: Annotated[list[str] | None, typer.Option(help="Run only this baseline (repeatable).")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds of each comparison.")] = 5,
    check: Annotated[bool, typer.Option("--check", help="End with 1 if a goal is missed.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Measure works of modelfleet side by side with other ways to do them, on generated data.

    Results and a plot go to .modelfleet/bench; docs/performance.md says how to read them.
    """
    folder = Home.from_environment().root / "bench"
    arguments = [suite.value, "--folder", str(folder), "--repeats", str(repeats)]
    arguments += ["--quick"] if quick else []
    arguments += [word for name in only or () for word in ("--only", name)]
    arguments += [word for name in against or () for word in ("--against", name)]
    report = _measure(arguments)
    results = report["results"]
    if as_json:
        print_json(results)
    else:
        out.print(result_table(report))
        for number, note in enumerate(_notes(results), start=1):
            out.print(f"  {number}) {note}", markup=False)
        out.print(f"{folder / suite.value}.json and .png", markup=False)
    missed = [result["title"] for result in results if result["met"] is False]
    if check and missed:
        raise ModelfleetError(f"{len(missed)} of {len(results)} results miss their goal: {'; '.join(missed)}")


def result_table(report: dict[str, Any]) -> Table:
    """Return the results as a table; its last column refers to the notes, counted in the order they appear."""
    from rich.table import Table

    title = f"bench {report['suite']}" + (", sizes for trying: no measure of the goals" if report["quick"] else "")
    table = Table(title=title)
    for name in ("work", "modelfleet", "baseline", "", "unit", "ratio", "spread", "goal", "met", "note"):
        right = name in ("modelfleet", "", "ratio", "spread", "goal", "note")
        table.add_column(name, justify="right" if right else "left")
    notes = _notes(report["results"])
    for one in report["results"]:
        met = {None: "", True: "[green]yes[/]", False: "[red]no[/]"}[one["met"]]
        low, high = one["spread"] or (None, None)
        mark = _note(one)
        table.add_row(
            one["title"],
            _figure(one["ours"]),
            one["baseline_name"] or "",
            _figure(one["baseline"]),
            one["unit"],
            _figure(one["ratio"]),
            "" if one["rounds"] < 2 else f"{_figure(low)} - {_figure(high)}",
            "" if one["goal"] is None else f"{one['sense']} {_figure(one['goal'])}",
            met,
            str(notes.index(mark) + 1) if mark else "",
        )
    return table


def _notes(results: list[dict[str, Any]]) -> list[str]:
    """Return the distinct notes, in the order of the results."""
    return list(dict.fromkeys(note for one in results if (note := _note(one))))


def _note(result: dict[str, Any]) -> str:
    return "; ".join(part for part in (result["size"], result["note"]) if part)


def _figure(number: float | None) -> str:
    """Return a number with three digits that count; nothing for none."""
    if number is None:
        return ""
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2 if abs(number) >= 1 else 3
    return f"{number:,.{digits}f}"


def _measure(arguments: list[str]) -> dict[str, Any]:
    """Run ``python -m benchmarks`` to its end, its progress on our standard error, and return its report.

    Raises:
        InputError: The benchmarks are not installed, or do not know what was asked for.
        ModelfleetError: A side failed.
    """
    if importlib.util.find_spec("benchmarks") is None:
        raise InputError("the package 'benchmarks' is not installed: it comes with modelfleet's wheel and checkout")
    command = [sys.executable, "-P", "-m", "benchmarks", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        told: list[str] = []
        for line in process.stderr:
            told.append(line)
            if _error([line]) is None:
                sys.stderr.write(line)
                sys.stderr.flush()
        output = process.stdout.read()
    if process.returncode:
        raise _error(told) or ModelfleetError(f"the benchmark ended with {process.returncode}; its log is above")
    report: dict[str, Any] = json.loads(Path(output.strip()).read_text(encoding="utf-8"))
    return report


def _error(lines: list[str]) -> ModelfleetError | None:
    """Return the error that a process told of in its last lines, as ``<type>: <message>``."""
    for number in reversed(range(len(lines))):
        name, colon, first = lines[number].partition(": ")
        error = error_named(name, "".join([first, *lines[number + 1 :]]).rstrip()) if colon else None
        if error is not None:
            return error
    return None
