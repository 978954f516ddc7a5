"""The whole loop, once, without an orchestrator: the steps an Airflow run calls one by one, in the same order."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from modelfleet.run import Run


@dataclass(frozen=True)
class Step:
    """One step of the loop.

    Attributes:
        name: As in the design and in Airflow.
        run: Does the work and leaves ``<result>.json`` in the run's folder.
        result: Name of that file; None where the step's own name is it.
        after_refusal: Whether it still runs when the gate refused the run.
    """

    name: str
    run: Callable[[Run], object]
    result: str | None = None
    after_refusal: bool = True


def _beam(job: Literal["prepare", "train"]) -> Callable[[Run], None]:
    def launch(run: Run) -> None:
        from modelfleet.engines.launch import run_job
        from modelfleet.engines.options import pipeline_options
        from modelfleet.engines.preflight import check_engine

        check_engine(run.spec, job, run.home)
        options = pipeline_options(run.spec, job, run.home, run=run.record.run_id)
        run_job(f"beam_jobs.{job}", ["--run", str(run.folder)], options)

    return launch


def _step(name: str) -> Callable[[Run], object]:
    """Return the step of a module of this package, imported when it is called: each needs libraries of its own."""

    def call(run: Run) -> object:
        return getattr(import_module(f"modelfleet.loop.{name}"), name)(run)

    return call


STEPS = (
    Step("prepare", _beam("prepare")),
    Step("validate", _step("validate"), result="validation"),
    Step("train", _beam("train")),
    Step("gate", _step("gate")),
    Step("register", _step("register")),
    Step("promote", _step("promote"), after_refusal=False),
    Step("confirm", _step("confirm"), after_refusal=False),
)


@dataclass(frozen=True)
class StepReport:
    """What one step did.

    Attributes:
        name: The step.
        seconds: Wall time.
        result: What it left; empty where the gate's refusal skipped it.
    """

    name: str
    seconds: float
    result: dict[str, Any]

    @property
    def skipped(self) -> bool:
        """Whether the gate's refusal skipped it."""
        return not self.result


def run_loop(run: Run, started: Callable[[Step], None], finished: Callable[[StepReport], None]) -> list[StepReport]:
    """Run every step; an error of a step ends the loop and leaves the champion serving.

    Args:
        run: A run that has begun.
        started: Called before each step.
        finished: Called after each step, also a skipped one.

    Returns:
        One report per step, in order.

    Raises:
        RunBusyError: Another process works on this run.
        ModelfleetError: What the step raised that failed.
    """
    with run.exclusively():
        return _run_steps(run, started, finished)


def _run_steps(run: Run, started: Callable[[Step], None], finished: Callable[[StepReport], None]) -> list[StepReport]:
    reports = []
    refused = False
    for step in STEPS:
        begin = time.monotonic()
        started(step)
        if refused and not step.after_refusal:
            report = StepReport(step.name, 0.0, {})
        else:
            step.run(run)
            report = StepReport(step.name, time.monotonic() - begin, run.read(step.result or step.name))
        refused = refused or (step.name == "gate" and bool(report.result["refused"]))
        finished(report)
        reports.append(report)
    return reports
