"""What a run did, in lines a person reads in a task log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.run import Run


def run_report(run: Run) -> list[str]:
    """Return the outcome of every step that ran, one line each, and the sentence of every decision.

    Args:
        run: A run whose gate has decided; promote and confirm may have been skipped.

    Raises:
        StepError: The gate has not decided.
    """
    gate = run.read("gate")
    lines = [f"fleet {run.spec.fleet}, run {run.record.run_id}"]
    if gate["refused"]:
        lines.append(f"gate: REFUSED: {gate['reason']}; the champions keep serving")
    else:
        counts = ", ".join(f"{gate[name]} {name}" for name in ("promoted", "kept", "pooled", "retired", "undecidable"))
        lines.append(f"gate ({gate['intent']}): {counts}, of {gate['entities']} entities")
    register = run.read("register")
    lines.append(f"MLflow: version {register['model_version'] or 'none'}, {register['run_url']}")
    promote = run.read("promote") if run.has("promote") else {}
    lines.append(f"release: {promote.get('generation') or 'none'}")
    if run.has("confirm"):
        confirm = run.read("confirm")
        lines.append(f"confirm: {confirm['outcome']}; {confirm['reason']}")
    lines.extend(f"  {entity or '(pooled)'}: {outcome}: {sentence}" for entity, outcome, sentence in decisions(run))
    return lines


def decisions(run: Run, limit: int = 100) -> list[tuple[str, str, str]]:
    """Return entity (empty for the pooled model), outcome and sentence of the gate's first decisions.

    Args:
        run: A run whose gate has decided.
        limit: Most decisions returned; a fleet may have thousands.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(run.folder / "decisions.parquet", columns=["entity", "outcome", "sentence"]).slice(0, limit)
    return [(row["entity"], row["outcome"], row["sentence"]) for row in table.to_pylist()]
