"""How numbers and comparisons are written in the gate's sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelfleet.gating.comparison import Comparison


def number(value: float) -> str:
    """Return a loss or metric with as many digits as a reader compares."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if size >= 0.001 or size == 0 else f"{value:.2g}"


def probability(value: float) -> str:
    """Return a p- or q-value."""
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def against(comparison: Comparison, q: float | None = None) -> str:
    """Return the numbers of a comparison, as in the example.

    ``brier 0.121 against the champion's 0.139 on 340 rows, difference -0.018 (p 0.003, q 0.011)``
    """
    found = comparison.difference
    rows = f"{found.n:,} row{'s' if found.n != 1 else ''}"
    text = (
        f"{comparison.loss} {number(comparison.candidate_loss)} against {comparison.whom}'s {number(found.loss)} "
        f"on {rows}, difference {number(found.mean)}"
    )
    if comparison.p is None:
        return text
    return f"{text} (p {probability(comparison.p)}" + (f", q {probability(q)})" if q is not None else ")")
