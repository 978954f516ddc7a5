"""Student's t distribution, without SciPy: the core wheel must be able to gate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TINY = 1e-300
_LIMIT = 20_000


def student_cdf(t: NDArray[np.float64], df: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return P(T <= t) for Student's t with ``df`` degrees of freedom.

    For t < 0 it is ``I_x(df / 2, 1 / 2) / 2`` with ``x = df / (df + t^2)``, I being the regularised incomplete beta
    function (Abramowitz and Stegun 26.7.1), so that small p-values keep their relative accuracy.

    Args:
        t: (n,) statistics; infinite allowed, NaN gives NaN.
        df: (n,) degrees of freedom, at least 1.
    """
    known = ~np.isnan(t)
    t, df = np.where(known, t, 0.0), np.asarray(df, dtype=np.float64)
    finite = np.isfinite(t)
    squared = np.where(finite, t, 0.0) ** 2
    tail = 0.5 * _incomplete_beta(df / 2, np.full(len(df), 0.5), df / (df + squared), squared / (df + squared))
    tail = np.where(finite, tail, 0.0)
    return np.asarray(np.where(known, np.where(t < 0, tail, 1.0 - tail), np.nan))


def _incomplete_beta(
    a: NDArray[np.float64], b: NDArray[np.float64], x: NDArray[np.float64], rest: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return I_x(a, b); ``rest`` is 1 - x, given apart because near 1 the subtraction would lose it."""
    swap = x > (a + 1) / (a + b + 2)  # the continued fraction converges fast only below this
    p, q = np.where(swap, b, a), np.where(swap, a, b)
    y, z = np.where(swap, rest, x), np.where(swap, x, rest)
    log_beta = _log_gamma(p) + _log_gamma(q) - _log_gamma(p + q)
    with np.errstate(divide="ignore"):
        front = np.exp(p * np.log(y) + q * np.log(z) - log_beta) / p
    value = front * _continued_fraction(p, q, y)
    return np.asarray(np.where(swap, 1.0 - value, value))


def _continued_fraction(a: NDArray[np.float64], b: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the continued fraction of the incomplete beta function (DLMF 8.17.22) by Lentz's method."""
    c = np.ones_like(x)
    d = 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    value = d.copy()
    for m in range(1, _LIMIT):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        step = np.ones_like(x)
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            step = c * d
            value = value * step
        if np.all(np.abs(step - 1.0) < 1e-15):
            break
    return value


def _away_from_zero(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.where(np.abs(values) < _TINY, _TINY, values))


def _log_gamma(values: NDArray[np.float64]) -> NDArray[np.float64]:
    distinct, where = np.unique(values, return_inverse=True)
    return np.array([math.lgamma(value) for value in distinct], dtype=np.float64)[where.reshape(-1)]
