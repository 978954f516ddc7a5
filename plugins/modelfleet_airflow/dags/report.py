"""What a run did, in lines a person reads in a task log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.run import Run

DECISIONS_SHOWN = 100


def run_report(run: Run) -> list[str]:
    """Return the outcome of every step that ran, one line each, and the sentence of every decision.

    Args:
        run: A run whose gate has decided; promote and confirm may have been skipped.

    Raises:
        StepError: The gate has not decided.
    """
    from modelfleet.gating.report import decision_lines
    from modelfleet.loop.gate import read_decisions

    lines = [f"fleet {run.spec.fleet}, run {run.record.run_id}"]
    register = run.read("register")
    lines.append(f"MLflow: version {register['model_version'] or 'none'}, {register['run_url']}")
    promote = run.read("promote") if run.has("promote") else {}
    lines.append(f"release: {promote.get('generation') or promote.get('reason') or 'none'}")
    if run.has("confirm"):
        confirm = run.read("confirm")
        lines.append(f"confirm: {confirm['outcome']}; {confirm['reason']}")
    return [*lines, *decision_lines(read_decisions(run), limit=DECISIONS_SHOWN)]
