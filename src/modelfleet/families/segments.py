"""Sums, extremes and medians of consecutive segments of rows: one segment per entity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def segment_of_row(bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the segment of each row (n,), for bounds (S + 1,) ascending from 0 to n."""
    return np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))


def sums(values: NDArray[np.float64], bounds: NDArray[np.int64], fold: np.ufunc = np.add) -> NDArray[np.float64]:
    """Return each segment's sum, or another fold such as ``np.minimum``, (S, columns); an empty segment's is 0.

    Args:
        values: (n, columns).
        bounds: (S + 1,) ascending from 0 to n.
        fold: What joins two rows.
    """
    folded = np.zeros((len(bounds) - 1, values.shape[1]))
    filled = bounds[1:] > bounds[:-1]
    if filled.any():
        folded[filled] = fold.reduceat(values, bounds[:-1][filled], axis=0)
    return folded


def medians(values: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each segment's median of the values that are not NaN, (S, columns); NaN where there is none.

    Args:
        values: (n, columns).
        bounds: (S + 1,) ascending from 0 to n.
    """
    segment = segment_of_row(bounds)
    known = sums((~np.isnan(values)).astype(np.float64), bounds).astype(np.int64)
    found = np.full(known.shape, np.nan)
    for column in range(values.shape[1]):
        ordered = values[np.lexsort((values[:, column], segment)), column]  # NaN sorts after every number
        count = known[:, column]
        has = count > 0
        start = bounds[:-1][has]
        found[has, column] = (ordered[start + (count[has] - 1) // 2] + ordered[start + count[has] // 2]) / 2
    return found
