"""What the registry is told about a run: gathered from the run's folder, fleet by fleet, never entity by entity."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelfleet.data.bigquery import is_table
from modelfleet.data.plan import ROW
from modelfleet.data.shard import shard_files
from modelfleet.evaluation.table import WHO
from modelfleet.registry.base import DatasetRef, RunReport

if TYPE_CHECKING:
    from modelfleet.gating.decision import Decisions
    from modelfleet.run import Run

QUANTILES = (0.1, 0.5, 0.9)
COUNTS = ("entities", "promoted", "kept", "pooled", "retired", "undecidable", "unchanged", "forced", "absent")


def run_report(run: Run, decisions: Decisions) -> RunReport:
    """Gather the report of a run whose gate has decided.

    Args:
        run: The run.
        decisions: What its gate decided.

    Raises:
        StepError: A step before registering has not run.
    """
    gate = run.read("gate")
    prepare = run.read("prepare")
    validation = run.read("validation")
    evaluation = run.table("evaluation")
    outcome = "refused" if decisions.refused else "accepted" if decisions.changes else "unchanged"
    docs = str(validation.get("data_docs") or "")
    return RunReport(
        run_id=run.record.run_id,
        fleet=run.spec.fleet,
        params=_params(run, gate),
        metrics=_metrics(evaluation, gate, prepare) | _choices(run),
        tags=_tags(run, outcome, docs),
        note=_note(run, gate, outcome, docs),
        evaluation=evaluation,
        decisions=decisions.to_table(),
        tables={name: run.table(name) for name, made in _further_tables(run).items() if made},
        files={f"run/{name}": run.folder / f"{name}.json" for name in ("spec", "prepare", "validation", "gate")},
        dataset=_dataset(run, prepare),
    )


def fleet_loss(evaluation: pa.Table) -> dict[str, float]:
    """Return the fleet's mean loss for each of candidate, champion, pooled and baseline.

    Weighted by holdout rows, over the entities where the candidate and the champion (if any has one) both have a
    loss, so that the numbers can be compared with each other.
    """
    entities = evaluation.filter(pc.equal(evaluation["kind"], "entity"))
    losses = {who: _numbers(entities, f"{who}_loss") for who in WHO}
    rows = _numbers(entities, "rows_holdout")
    common = np.isfinite(losses["candidate"]) & (rows > 0)
    if np.isfinite(losses["champion"]).any():
        common &= np.isfinite(losses["champion"])
    found = {}
    for who, loss in losses.items():
        there = common & np.isfinite(loss)
        if there.any():
            found[f"loss_{who}"] = float(np.average(loss[there], weights=rows[there]))
    return found


def _numbers(table: pa.Table, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    numbers: np.ndarray[Any, np.dtype[np.float64]] = pc.fill_null(table[name].cast(pa.float64()), np.nan).to_numpy()
    return numbers


def _params(run: Run, gate: dict[str, Any]) -> dict[str, str]:
    model, record = run.spec.model, run.record
    if model.candidates:
        recipes = {
            "family": ", ".join(dict.fromkeys(recipe.family for recipe in model.recipes)),
            "pooled": model.pooled_recipe.label,
            **{f"candidate.{number:02d}": recipe.label for number, recipe in enumerate(model.recipes, start=1)},
        }
    else:
        recipes = {
            "family": model.family,
            **{f"parameters.{name}": _text(value) for name, value in sorted(model.parameters.items())},
        }
    return {
        **recipes,
        "features": ", ".join(model.features) if model.features else "all",
        "min_rows": str(model.min_rows),
        "seed": str(model.seed),
        "intent": str(gate["intent"]),
        "overrides": _text(record.overrides),
        "entities": "all" if record.entities is None else _text(list(record.entities)),
        "force": str(record.force).lower(),
        "split.salt": run.spec.split.salt,
    }


def _metrics(evaluation: pa.Table, gate: dict[str, Any], prepare: dict[str, Any]) -> dict[str, float]:
    metrics = {name: float(gate[name]) for name in COUNTS if isinstance(gate.get(name), int)}
    metrics |= {name: float(prepare[name]) for name in ("rows_prepared", "rows_bad") if name in prepare}
    metrics |= fleet_loss(evaluation)
    entities = evaluation.filter(pc.equal(evaluation["kind"], "entity"))
    for name in evaluation.column_names:
        if not name.startswith(("candidate_", "champion_")):
            continue
        numbers = _numbers(entities, name)
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            for q in QUANTILES:
                metrics[f"{name}_p{q * 100:.0f}"] = float(np.quantile(numbers, q))
    return metrics


def _choices(run: Run) -> dict[str, float]:
    """Return how many entities each candidate won, and how far it is from the fleet's best; nothing without choice."""
    metrics = {}
    for candidate in run.read("train").get("candidates", []):
        name = f"candidate.{candidate['number']:02d}" if candidate["number"] else "candidate.pooled"
        metrics[f"{name}.chosen"] = float(candidate["chosen"])
        if candidate["difference"] is not None:
            metrics[f"{name}.difference"] = float(candidate["difference"])
    return metrics


def _further_tables(run: Run) -> dict[str, bool]:
    """Return which tables the training step leaves beside the evaluation."""
    return {"slices": bool(run.spec.evaluation.slices), "candidates": bool(run.spec.model.candidates)}


def _tags(run: Run, outcome: str, docs: str) -> dict[str, str]:
    record = run.record
    return {
        "fleet": run.spec.fleet,
        "run_id": record.run_id,
        "gate": outcome,
        "overrides": _text(record.overrides),
        "reason": record.reason,
        "actor": record.actor,
        "champion_generation": "" if record.champion is None else str(record.champion.generation),
        "data_docs": docs,
    }


def _note(run: Run, gate: dict[str, Any], outcome: str, docs: str) -> str:
    counts = ", ".join(f"{gate[name]} {name}" for name in COUNTS[1:6] if name in gate)
    lines = [
        f"Fleet **{run.spec.fleet}**, run `{run.record.run_id}`: the gate says **{outcome}** "
        f"for {gate.get('entities', 0)} entities ({counts}).",
    ]
    lines += [str(gate["reason"])] if gate.get("reason") else []
    lines += [f"Why it ran: {run.record.reason}"] if run.record.reason else []
    lines += [f"[Data Docs]({docs})"] if docs else []
    return "\n\n".join(lines)


def _dataset(run: Run, prepare: dict[str, Any]) -> DatasetRef:
    """Name the data by what is in it: the sum of its rows' content hashes does not depend on their order."""
    total, rows = 0, 0
    for path in shard_files(run.prepared).values():
        hashes = pq.read_table(path, columns=[ROW])[ROW].to_numpy()
        total = (total + int(hashes.sum(dtype=np.uint64))) % 2**64
        rows += len(hashes)
    files = prepare.get("files") or [run.spec.data.source]
    if is_table(run.spec.data.source):
        files = [run.spec.data.source]  # and not the copy that the run has of it
    schema = run.schema()
    columns = {name: "category" for name in schema.entity} | {f.name: str(f.type) for f in schema.features}
    return DatasetRef(
        name=run.spec.fleet,
        uri=str(files[0]) if len(files) == 1 else run.spec.data.source,
        digest=f"{total:016x}-{rows}"[:36],
        columns=columns,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
