"""The gate step: what the run may promote, written down before anything is registered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from modelfleet.errors import StepError
from modelfleet.gating.decide import POOLED, EntityIntent, decide
from modelfleet.gating.decision import Decisions
from modelfleet.loop.no_collector import no_collector

if TYPE_CHECKING:
    from modelfleet.bundles.format import ShardFile
    from modelfleet.bundles.reader import Bundle
    from modelfleet.run import Run


def gate(run: Run) -> Decisions:
    """Decide every entity of a run; leaves ``decisions.parquet``, and ``gate.json`` last.

    Reads only the run's folder and the champion bundle the run began with, so that a second call decides the same.

    Raises:
        StepError: The training or the validation step has not run, or validation failed.
        SpecError: The policy names a metric or a loss that does not fit the task.
        BundleError: The candidate or the champion bundle is damaged.
    """
    if not run.read("validation")["success"]:
        raise StepError(f"run {run.record.run_id}: validation failed: nothing of this run may serve; mend the data")
    run.read("train")
    quarantined = {
        entity: str(reason)
        for entity, reason in run.read("quarantine").items()
        if run.entities is None or entity in run.entities
    }
    champion = run.champion()
    with no_collector():
        decisions = decide(
            run.table("evaluation"),
            run.spec.gate,
            intent=intents(run, champion),
            quarantined=quarantined,
            force=run.record.force,
            champion=() if champion is None else champion.entities,
            champion_pooled=champion is not None and champion.manifest.pooled is not None,
        )
        run.write_table("decisions", decisions.to_table())
    run.write("gate", decisions.summary())
    return decisions


def read_decisions(run: Run) -> Decisions:
    """Return what the gate decided.

    Raises:
        StepError: It has not.
    """
    run.read("gate")
    return Decisions.from_table(run.table("decisions"))


def intents(run: Run, champion: Bundle | None) -> EntityIntent | dict[str, EntityIntent]:
    """Return the policy's intent; under ``auto``, each entity's own.

    An entity's intent is ``refresh`` where its candidate's family, parameters and features equal those of what serves
    it now (its champion, else the pooled model), and ``change`` otherwise. It is asked entity by entity because a
    fleet of which only a part was promoted mixes families from then on.

    Args:
        run: A trained run.
        champion: The bundle that served when it began; None before the first release.
    """
    policy = run.spec.gate.intent
    if policy != "auto":
        return policy
    if champion is None:
        return "change"
    from modelfleet.bundles.reader import Bundle

    serving = _recipes(champion)
    trained = _recipes(Bundle.open(run.candidate, verify=False))
    return {
        entity: "refresh" if serving.get(entity, serving.get(POOLED)) == recipe else "change"
        for entity, recipe in trained.items()
    }


def _recipes(bundle: Bundle) -> dict[str, str]:
    """Return how each model was made, by entity; the pooled model's under ``""``."""
    by_path = {path: _recipe(bundle, file) for path, file in bundle.files.items()}
    columns = (bundle.index[name].to_pylist() for name in ("entity", "path"))
    found = {entity: by_path[path] for entity, path in zip(*columns, strict=True)}
    pooled = bundle.manifest.pooled
    return found if pooled is None else found | {POOLED: by_path[pooled.path]}


def _recipe(bundle: Bundle, file: ShardFile) -> str:
    # Levels are left out: newer data may bring a new one, and that is no change of the features
    features = [(feature.name, str(feature.type)) for feature in bundle.schema_of(file).features]
    return json.dumps([file.family, file.parameters, features], sort_keys=True)
