"""Which comparison decides an entity, and the p-values of all of them at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from modelfleet.gating.paired_test import benjamini_hochberg, p_value_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelfleet.gating.evaluated import Difference, Evaluated

Rule = Literal["refresh", "change", "first"]


@dataclass(frozen=True)
class Comparison:
    """A candidate against one reference, under one rule.

    Attributes:
        rule: ``first`` where nothing serves the entity yet, else the intent.
        reference: ``champion``, ``pooled`` or ``baseline``.
        whom: The reference in words, such as "the champion".
        loss: Name of the loss.
        candidate_loss: The candidate's mean loss.
        difference: The measured difference.
        bound: What the true difference is to be proven below; 0, or the margin in units of the loss.
        p: Of that proof; None before it is tested.
        q: Adjusted over the fleet; None under other rules than ``change``.
    """

    rule: Rule
    reference: str
    whom: str
    loss: str
    candidate_loss: float
    difference: Difference
    bound: float = 0.0
    p: float | None = None
    q: float | None = None

    @property
    def better(self) -> bool:
        """Whether the candidate is estimated better, by more than rounding."""
        return self.difference.mean < -self.rounding

    @property
    def rounding(self) -> float:
        """A difference no larger than this is rounding, not evidence."""
        return 1e-12 * max(abs(self.candidate_loss), abs(self.difference.loss))


def choose(row: Evaluated, intent: Literal["refresh", "change"], *, loss: str, margin: float) -> Comparison:
    """Return the comparison that decides a row.

    A candidate is compared with the champion. Where the entity has none of its own, the rule is ``first``, whoever
    serves it meanwhile: the baseline, and then the pooled model, by ``against_pooled``. So a second run on the same
    data decides as the first did.

    Args:
        row: What was measured.
        intent: Of this entity.
        loss: Name of the loss.
        margin: Share of the reference's mean loss called "not worse".
    """
    if not row.has_champion:
        return Comparison("first", "baseline", "the baseline", loss, row.candidate_loss, row.differences["baseline"])
    difference = row.differences["champion"]
    bound = margin * difference.loss if intent == "refresh" and math.isfinite(difference.loss) else 0.0
    return Comparison(intent, "champion", "the champion", loss, row.candidate_loss, difference, bound)


def against_pooled(row: Evaluated, loss: str, *, new_pooled: bool) -> Comparison | None:
    """Return the comparison of a first model with the pooled model that would serve the entity without it.

    Args:
        row: What was measured.
        loss: Name of the loss.
        new_pooled: Whether this run's pooled model is promoted; otherwise the serving one stays, where there is one.

    Returns:
        None where it could not be measured, as with a pooled model that may have seen the holdout.
    """
    if row.kind == "pooled":
        return None
    serving = row.differences["champion"]
    reference, whom = "pooled", "the new pooled model"
    if not new_pooled and serving.n > 0 and row.reference_valid:
        reference, whom = "champion", "the serving pooled model"
    difference = row.differences[reference]
    if difference.n == 0:
        return None
    return Comparison("first", reference, whom, loss, row.candidate_loss, difference)


def tested(comparisons: Sequence[Comparison], unfit: Sequence[bool]) -> list[Comparison]:
    """Return the comparisons with their p-values, and q-values over those of rule ``change``.

    A candidate that is unfit to serve enters the adjustment with a p-value of 1: it is a candidate of this run that
    is not promoted. Leaving it out would select by the same rows that are tested, and promise too much.

    Args:
        comparisons: Of the whole fleet; their order does not matter.
        unfit: For each, whether the candidate is unfit to serve.
    """
    found = [c.difference for c in comparisons]
    p = p_value_below(
        np.array([d.mean for d in found], dtype=np.float64),
        np.array([d.error for d in found], dtype=np.float64),
        np.array([d.n for d in found], dtype=np.int64),
        np.array([c.bound for c in comparisons], dtype=np.float64),
    )
    equal = np.array([c.bound == 0 and abs(c.difference.mean) <= c.rounding for c in comparisons], dtype=bool)
    p = np.where(np.array(unfit, dtype=bool) | equal, 1.0, p)
    change = np.array([c.rule == "change" for c in comparisons], dtype=bool)
    q = np.full(len(p), np.nan)
    q[change] = benjamini_hochberg(p[change])
    return [replace(c, p=float(p[i]), q=float(q[i]) if change[i] else None) for i, c in enumerate(comparisons)]
