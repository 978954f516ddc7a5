"""The gate: a pure function from an evaluation table and a policy to one decision per entity and one for the fleet."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from modelfleet.errors import StepError
from modelfleet.gating.comparison import Comparison, against_pooled, choose, tested
from modelfleet.gating.decision import Decisions, EntityDecision, Outcome
from modelfleet.gating.evaluated import Evaluated, read_evaluation
from modelfleet.gating.fitness import unfit
from modelfleet.gating.fleet_rule import apply_fleet_rule
from modelfleet.gating.sentences import against, number

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.spec.gate import GatePolicy

EntityIntent = Literal["refresh", "change"]
POOLED = ""
"""Key of the pooled model where intents are given by entity."""


def decide(
    evaluation: pa.Table,
    policy: GatePolicy,
    *,
    intent: EntityIntent | Mapping[str, EntityIntent],
    quarantined: Mapping[str, str] | None = None,
    force: bool = False,
    champion: Collection[str] = (),
    champion_pooled: bool = False,
) -> Decisions:
    """Decide a whole run.

    Args:
        evaluation: As ``modelfleet.evaluation.table.evaluate_shard`` makes it; in any order.
        policy: The fleet's gate policy.
        intent: One for all, or by entity (the pooled model under ``""``; an entity not named is a ``change``).
        quarantined: Entities that validation held back, with the reason; they need not be in the table.
        force: Promote in spite of the comparison; never in spite of thresholds, validation or a failed fit.
        champion: Entities with a model of their own in the champion bundle; those that are not in the table keep it.
        champion_pooled: Whether the champion bundle has a pooled model, which a run for some entities does not train.

    Returns:
        The decisions, in the table's order; quarantined entities that are not in the table follow, sorted.

    Raises:
        SpecError: A threshold names a metric that was not measured.
        StepError: The table is not an evaluation table.
    """
    held = dict(quarantined or {})
    rows = read_evaluation(evaluation, list(policy.thresholds))
    entities = [row for row in rows if row.kind == "entity"]
    shared = [row for row in rows if row.kind == "pooled"]
    if len(shared) > 1:
        raise StepError(f"the evaluation table has {len(shared)} rows for the pooled model: train again")
    loss = policy.loss or ("absolute_error" if "candidate_mae" in evaluation.column_names else "brier")
    gate = _Gate(policy, loss, intent, held, force)
    pooled = gate.decide(shared, new_pooled=False, has_pooled=False)[0] if shared else None
    promoted = pooled is not None and pooled.outcome is Outcome.PROMOTE
    some_pooled = promoted or champion_pooled or any(row.has_champion for row in shared)
    decided = gate.decide(entities, new_pooled=promoted, has_pooled=some_pooled)
    listed = {row.entity for row in entities}
    for entity in sorted(set(held) - listed):
        reason = f"{entity}: quarantined by validation: {held[entity]}"
        decided.append(_unserved(entity, entity in champion, some_pooled, reason))
    absent = len(set(champion) - listed - set(held))
    decisions = Decisions(tuple(decided), pooled, intent=gate.intent_name(entities), absent=absent)
    return apply_fleet_rule(
        decisions,
        policy,
        candidates=sum(row.has_candidate for row in entities),
        contested=any(row.has_candidate and row.has_champion and not row.unchanged for row in rows),
    )


class _Gate:
    """The rules for one row, with what they need to know about the run."""

    def __init__(
        self,
        policy: GatePolicy,
        loss: str,
        intent: EntityIntent | Mapping[str, EntityIntent],
        quarantined: Mapping[str, str],
        force: bool,
    ) -> None:
        self.policy = policy
        self.loss = loss
        self.intent = intent
        self.quarantined = quarantined
        self.force = force

    def intent_of(self, entity: str) -> EntityIntent:
        return self.intent if isinstance(self.intent, str) else self.intent.get(entity, "change")

    def intent_name(self, rows: list[Evaluated]) -> str:
        found = {self.intent_of(row.entity) for row in rows} or {self.intent_of(POOLED)}
        return found.pop() if len(found) == 1 else "mixed"

    def decide(self, rows: list[Evaluated], *, new_pooled: bool, has_pooled: bool) -> list[EntityDecision]:
        """Decide rows whose false discoveries are controlled together."""
        reasons = [unfit(row, self.policy.thresholds, self.quarantined) for row in rows]
        chosen = [choose(row, self.intent_of(row.entity), loss=self.loss, margin=self.policy.margin) for row in rows]
        counted = [i for i, row in enumerate(rows) if self._testable(row, chosen[i])]
        for i, comparison in zip(
            counted, tested([chosen[i] for i in counted], [reasons[i] is not None for i in counted]), strict=True
        ):
            chosen[i] = comparison
        return [self._row(*parts, new_pooled, has_pooled) for parts in zip(rows, chosen, reasons, strict=True)]

    def _testable(self, row: Evaluated, comparison: Comparison) -> bool:
        enough = comparison.difference.n >= self.policy.min_holdout_rows
        return row.has_candidate and not row.unchanged and enough and self._valid(row, comparison)

    @staticmethod
    def _valid(row: Evaluated, comparison: Comparison) -> bool:
        # only the champion may have seen these rows: the new pooled model and the baseline are of this run
        return comparison.reference != "champion" or row.reference_valid

    def _row(
        self, row: Evaluated, comparison: Comparison, reason: str | None, new_pooled: bool, has_pooled: bool
    ) -> EntityDecision:
        stays = _stays(row, has_pooled)
        if reason is not None:
            untested = replace(comparison, p=None, q=None)
            return _decision(row, untested, _fallback(row), f"{row.name}: {reason}: {stays}")
        if row.unchanged:
            outcome = Outcome.KEEP if row.has_champion else Outcome.POOLED
            sentence = f"{row.name}: the candidate equals the champion: kept"
            return _decision(row, comparison, outcome, sentence, unchanged=True)
        proof, outcome, decisive = self._compare(row, comparison, new_pooled)
        if outcome is Outcome.PROMOTE:
            return _decision(row, comparison, outcome, f"{row.name}: {proof}: promoted")
        if self.force:
            sentence = f"{row.name}: {proof}: promoted by force"
            return _decision(row, comparison, Outcome.PROMOTE, sentence, forced=True)
        return _decision(row, decisive, outcome, f"{row.name}: {proof}: {stays}")

    def _compare(self, row: Evaluated, comparison: Comparison, new_pooled: bool) -> tuple[str, Outcome, Comparison]:
        """Return the numbers in words, the outcome without force, and the comparison that decided it."""
        obstacle = self._obstacle(row, comparison)
        if obstacle is not None:
            owned = row.kind == "pooled" or row.has_champion
            return obstacle, Outcome.UNDECIDABLE if owned else Outcome.POOLED, comparison
        text = against(comparison, comparison.q if row.kind == "entity" else None)
        doubt = self._doubt(row, comparison)
        if doubt is not None:
            return f"{text}, {doubt}", _fallback(row), comparison
        if comparison.rule == "first":
            rival = against_pooled(row, self.loss, new_pooled=new_pooled)
            if rival is not None:
                return self._beside_pooled(text, comparison, rival)
        return text, Outcome.PROMOTE, comparison

    def _obstacle(self, row: Evaluated, comparison: Comparison) -> str | None:
        """Return why the comparison can prove nothing, or None."""
        least = self.policy.min_holdout_rows
        if not self._valid(row, comparison):
            return f"not comparable with the champion: {row.reference_note or 'no reason given'}"
        if row.rows_independent < least:
            return f"{row.rows_independent} independent holdout rows prove nothing (gate.min_holdout_rows is {least})"
        if comparison.difference.n < least:
            return f"not comparable: {comparison.whom} predicts nothing on some of its rows"
        return None

    def _doubt(self, row: Evaluated, comparison: Comparison) -> str | None:
        """Return what the comparison fails to prove under its rule, or None."""
        level = self.policy.level
        p = 1.0 if comparison.p is None else comparison.p
        if comparison.rule == "refresh":
            if not comparison.better:
                return "not better"
            return None if p <= level else f"not proven within the margin of {number(comparison.bound)}"
        if comparison.rule == "first" and row.kind == "pooled":
            # the last resort: without it, entities that get no model of their own are not answered at all
            return None if comparison.better else "not better than a constant"
        if comparison.rule == "first":
            return None if p <= level else "not proven better than a constant"
        # the pooled model is one test, not one of many
        adjusted = comparison.q if row.kind == "entity" and comparison.q is not None else p
        return None if adjusted <= level else "not proven better"

    def _beside_pooled(self, text: str, comparison: Comparison, rival: Comparison) -> tuple[str, Outcome, Comparison]:
        """Compare a first model, which beats the baseline, with the pooled model that would serve instead."""
        allowed = self.policy.margin * rival.difference.loss
        if rival.difference.mean <= allowed:
            return f"{text} and {rival.whom}'s {number(rival.difference.loss)}", Outcome.PROMOTE, comparison
        return f"{against(rival)}, worse by more than the margin of {number(allowed)}", Outcome.POOLED, rival


def _fallback(row: Evaluated) -> Outcome:
    return Outcome.KEEP if row.has_champion or row.kind == "pooled" else Outcome.POOLED


def _stays(row: Evaluated, has_pooled: bool) -> str:
    if row.has_champion:
        return "the champion stays"
    if row.kind == "pooled":
        return "the fleet gets no pooled model"
    return "served by the pooled model" if has_pooled else "not served, since the fleet has no pooled model"


def _unserved(entity: str, has_champion: bool, has_pooled: bool, reason: str) -> EntityDecision:
    if has_champion:
        sentence = f"{reason}: the champion stays"
        return EntityDecision(entity, "entity", Outcome.KEEP, sentence, has_champion=True)
    fate = "served by the pooled model" if has_pooled else "not served, since the fleet has no pooled model"
    return EntityDecision(entity, "entity", Outcome.POOLED, f"{reason}: {fate}")


def _decision(
    row: Evaluated,
    comparison: Comparison,
    outcome: Outcome,
    sentence: str,
    *,
    forced: bool = False,
    unchanged: bool = False,
) -> EntityDecision:
    """Return a decision with the numbers of the comparison that made it."""
    found = comparison.difference
    return EntityDecision(
        entity=row.entity,
        kind="pooled" if row.kind == "pooled" else "entity",
        outcome=outcome,
        sentence=sentence,
        reference=comparison.reference if found.n > 0 else None,
        candidate_loss=_known(row.candidate_loss),
        reference_loss=_known(found.loss),
        difference=_known(found.mean),
        standard_error=_known(found.error),
        p_value=comparison.p,
        q_value=comparison.q if row.kind == "entity" else None,
        rows_independent=row.rows_independent,
        forced=forced,
        unchanged=unchanged,
        has_champion=row.has_champion,
    )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
