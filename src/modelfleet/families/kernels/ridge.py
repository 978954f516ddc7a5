"""Ridge regression by its normal equations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.families.kernels.cholesky import backsolve, factor
from modelfleet.families.kernels.code_columns import STRIDE, gram, place, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[Any]


def ridge(
    bounds: Integers, offsets: Integers, codes: Integers, numbers: Floats, target: Floats, weights: Floats,
    strength: float, out: Floats, done: NDArray[np.bool_], sources: int = 0,
) -> None:  # fmt: skip
    """Fit numbers by least squares for each entity; args are those of ``binary``, ``target`` (n,) has mean 0."""
    most = 0
    for e in range(len(bounds)):
        most = max(most, bounds[e, 1] - bounds[e, 0])
    levels, measures = offsets[-1], numbers.shape[1]
    seen, at = np.empty(levels, dtype=np.int32), np.empty(levels, dtype=np.int32)
    own, r = np.empty((most, codes.shape[1]), dtype=np.int32), np.empty(most)
    for e in range(len(bounds)):
        first, size = bounds[e, 0], bounds[e, 1] - bounds[e, 0]
        v = place(first, size, offsets, codes, seen, at, own)
        d = v + measures
        x, y, weight = numbers[first:], target[first:], weights[first:]
        h, w = np.empty((d, d + STRIDE - d % STRIDE)), np.empty(d + 1)
        for i in range(size):
            r[i] = weight[i] * y[i]
        spread(size, v, own, x, r, w)
        gram(size, v, own, x, weight, h)
        for j in range(d - 1):
            h[j, j] += strength
        done[e] = factor(d, h)
        backsolve(d, h, w)
        for a in range(v):
            out[e, seen[a]] = w[a]
        for k in range(measures):
            out[e, levels + k] = w[v + k]
