"""The rules for the run as a whole: when it is refused, and when it simply changes nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from modelfleet.gating.decision import Decisions, EntityDecision, Outcome

if TYPE_CHECKING:
    from modelfleet.spec.gate import GatePolicy


def apply_fleet_rule(decisions: Decisions, policy: GatePolicy, *, candidates: int, contested: bool) -> Decisions:
    """Return the decisions with the run's own: refused or not, and why.

    - Fewer accepted entities than ``policy.smallest_accepted_share`` of those with a candidate: refused. An
      unchanged candidate counts as accepted.
    - Nothing to promote because every candidate equals its champion, where there is one: not refused; there is no
      change. So a second run on the same data changes nothing, whoever failed to get a first model in the first.
    - Nothing to promote otherwise: refused.

    In a refused run no decision says ``promote``, so that none is acted on by mistake.

    Args:
        decisions: As decided entity by entity.
        policy: The fleet's policy.
        candidates: Number of entities with a candidate.
        contested: Whether any candidate, the pooled one included, differs from a champion it would replace.
    """
    accepted = len(decisions.accepted) + sum(d.unchanged for d in decisions.entities)
    share = accepted / candidates if candidates else 1.0
    if share < policy.smallest_accepted_share:
        return _refuse(
            decisions,
            f"{accepted} of {candidates} candidates accepted ({share:.0%}), at least "
            f"{policy.smallest_accepted_share:.0%} needed (gate.smallest_accepted_share)",
        )
    if decisions.changes:
        return decisions
    every = [*decisions.entities, *([decisions.pooled] if decisions.pooled else [])]
    unchanged = sum(d.unchanged for d in every)
    if unchanged and not contested:
        others = candidates + (decisions.pooled is not None) - unchanged
        none_fit = f" ({others} without a champion did not prove fit to serve)" if others else ""
        return replace(decisions, reason=f"no change: every candidate equals its champion{none_fit}")
    if not candidates and not decisions.pooled:
        return _refuse(decisions, "no candidate was trained")
    counts = Counter(str(d.outcome) for d in decisions.entities)
    found = ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items()))
    example = f"; for example {every[0].sentence}" if every else ""
    return _refuse(decisions, f"nothing to promote among {candidates} candidates ({found or 'no entity'}){example}")


def _refuse(decisions: Decisions, reason: str) -> Decisions:
    pooled = decisions.pooled
    return replace(
        decisions,
        refused=True,
        reason=reason,
        entities=tuple(_withdrawn(d) for d in decisions.entities),
        pooled=pooled and _withdrawn(pooled),
    )


def _withdrawn(decision: EntityDecision) -> EntityDecision:
    if decision.outcome is not Outcome.PROMOTE:
        return decision
    stays = Outcome.POOLED if decision.kind == "entity" and not decision.has_champion else Outcome.KEEP
    sentence = f"{decision.sentence}, but withdrawn: the run is refused"
    return replace(decision, outcome=stays, forced=False, sentence=sentence)
