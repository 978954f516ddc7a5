"""The two statistics of the gate: a one-sided paired test, and false discoveries over many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.gating.student import student_cdf

if TYPE_CHECKING:
    from numpy.typing import NDArray


def p_value_below(
    mean: NDArray[np.float64], error: NDArray[np.float64], n: NDArray[np.int64], bound: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the one-sided p-value of "the true mean difference is below the bound" by Student's paired t test.

    ``t = (mean - bound) / error`` with n - 1 degrees of freedom. The result is never below ``2**-n``: the smallest
    that the exact sign-flip test of n observations can give. It is what an error of 0 gives, too.

    Args:
        mean: (k,) mean of the paired differences, candidate minus reference.
        error: (k,) standard error of that mean.
        n: (k,) independent observations.
        bound: (k,) 0 for "better"; a positive margin for "not worse by more than the margin".

    Returns:
        (k,) float64 in (0, 1]; 1 where fewer than two observations, or no number, prove nothing.
    """
    shift = mean - bound
    usable = (n >= 2) & np.isfinite(shift) & np.isfinite(error)
    spread = usable & (error > 1e-15 * np.abs(shift))  # below, all differences are equal but for rounding
    t = np.divide(shift, error, out=np.where(shift < 0, -np.inf, np.inf), where=spread)
    p = student_cdf(np.where(usable, t, 0.0), np.maximum(n - 1, 1).astype(np.float64))
    return np.where(usable, np.maximum(p, np.ldexp(1.0, -np.minimum(n, 1000).astype(np.int64))), 1.0)


def benjamini_hochberg(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return q-values: accepting what has ``q <= level`` holds the expected share of false discoveries to ``level``.

    Benjamini and Hochberg (1995): with the p-values in ascending order, ``q_(i) = min over j >= i of p_(j) m / j``.

    Args:
        p: (m,) p-values, in any order.
    """
    m = len(p)
    order = np.argsort(p)
    raw = p[order] * m / np.arange(1, m + 1)
    q = np.empty(m)
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q
