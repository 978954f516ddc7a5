"""Whether a candidate is fit to serve at all, whatever it is compared with. Force does not override this."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from modelfleet.gating.sentences import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelfleet.gating.evaluated import Evaluated
    from modelfleet.spec.gate import Threshold


def unfit(row: Evaluated, thresholds: Mapping[str, Threshold], quarantined: Mapping[str, str]) -> str | None:
    """Return why the candidate must not serve, or None.

    In order: the entity is quarantined; it has no candidate; the candidate has no number to show for rows it was
    asked about; an absolute threshold is missed. A metric that is undefined on the holdout has not been shown to be
    within its threshold, so it misses it.

    Args:
        row: What was measured.
        thresholds: Bounds by metric name.
        quarantined: Entities that validation held back, with the reason.
    """
    if row.kind == "entity" and row.entity in quarantined:
        return f"quarantined by validation: {quarantined[row.entity]}"
    if row.failure is not None:
        return row.failure
    if not row.has_candidate:
        return f"no candidate was trained on its {row.rows_train:,} training rows"
    if row.rows_holdout > 0 and not math.isfinite(row.candidate_loss):
        return f"the candidate has no finite prediction for some of its {row.rows_holdout:,} holdout rows"
    missed = [text for name, bound in thresholds.items() if (text := _missed(name, row.metrics[name], bound, row))]
    return "; ".join(missed) or None


def _missed(name: str, value: float, bound: Threshold, row: Evaluated) -> str | None:
    if math.isnan(value):
        return f"{name} is undefined on its {row.rows_holdout:,} holdout rows, and gate.thresholds bounds it"
    if bound.min is not None and value < bound.min:
        return f"{name} {number(value)} is below the required {bound.min:g}"
    if bound.max is not None and value > bound.max:
        return f"{name} {number(value)} is above the allowed {bound.max:g}"
    return None
