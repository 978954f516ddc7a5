"""L2 regularised logistic regression for two classes, by Newton's method."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.families.kernels.cholesky import backsolve, factor
from modelfleet.families.kernels.code_columns import STRIDE, gram, place, score, spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[Any]

ROUNDING = 1e-13
"""Relative rounding error granted to the value of the objective."""

SMALL_DRIFT = 0.1
"""Movement of scores since the Hessian was built up to which it is used again: a step then errs by that share."""

SHORTEST = 1e-10
"""Step length below which a search along a direction is given up."""


def binary_loss(size: int, z: Floats, y: Floats, weight: Floats, p: Floats) -> float:
    """Return the weighted log loss of scores; set ``p`` to the probabilities."""
    total = 0.0
    for i in range(size):
        e = math.exp(-abs(z[i]))
        p[i] = 1.0 / (1.0 + e) if z[i] > 0 else e / (1.0 + e)
        total += weight[i] * (math.log1p(e) + max(z[i], 0.0) - y[i] * z[i])
    return total


def squares(count: int, w: Floats) -> float:
    """Return the sum of the first squares."""
    total = 0.0
    for j in range(count):
        total += w[j] * w[j]
    return total


def binary(  # noqa: PLR0912, PLR0915
    bounds: Integers, offsets: Integers, codes: Integers, numbers: Floats, label: Floats, weights: Floats,
    strength: float, steps: int, tolerance: float, out: Floats, done: NDArray[np.bool_], sources: int = 0,
) -> None:  # fmt: skip
    """Fit two classes for each entity.

    Args:
        bounds: (E, 2) int64, first row and the row after the last; at least one row of weight of either class.
        offsets: (categories + 1,) int64.
        codes: (n, categories) int32, -1 unseen.
        numbers: (n, numbers + 1) standardised, the last column 1.
        label: (n,) 0 or 1.
        weights: (n,).
        strength: Factor of half the squared coefficients; the intercept is free.
        steps: Most Newton steps.
        tolerance: A full step that moves no row's score by more, with its own Hessian, ends the search.
        out: Out (E, levels + numbers + 1), zeros: coefficients, the intercept last.
        done: Out (E,): whether it converged.
        sources: Not used; its default tells numba's cache of changes in the functions called.
    """
    most = 0
    for e in range(len(bounds)):
        most = max(most, bounds[e, 1] - bounds[e, 0])
    levels, measures = offsets[-1], numbers.shape[1]
    seen, at = np.empty(levels, dtype=np.int32), np.empty(levels, dtype=np.int32)
    own = np.empty((most, codes.shape[1]), dtype=np.int32)
    z, tried, p, q, r = np.empty(most), np.empty(most), np.empty(most), np.empty(most), np.empty(most)
    for e in range(len(bounds)):
        first, size = bounds[e, 0], bounds[e, 1] - bounds[e, 0]
        v = place(first, size, offsets, codes, seen, at, own)
        d = v + measures
        x, y, weight = numbers[first:], label[first:], weights[first:]
        h = np.empty((d, d + STRIDE - d % STRIDE))
        w, new, g, step = np.zeros(d + 1), np.zeros(d + 1), np.zeros(d + 1), np.zeros(d + 1)
        positive, total = 0.0, 0.0
        for i in range(size):
            positive += weight[i] * y[i]
            total += weight[i]
        w[d - 1] = math.log(positive / (total - positive))  # the best constant
        score(size, v, own, x, w, z)
        value = binary_loss(size, z, y, weight, p)
        drift = math.inf
        for _ in range(steps):
            for i in range(size):
                r[i] = weight[i] * (p[i] - y[i])
            spread(size, v, own, x, r, g)
            for j in range(d - 1):
                g[j] += strength * w[j]
            if drift > SMALL_DRIFT:  # else the factor at hand is nearly the right one
                for i in range(size):
                    r[i] = weight[i] * p[i] * (1.0 - p[i])
                gram(size, v, own, x, r, h)
                for j in range(d - 1):
                    h[j, j] += strength
                factor(d, h)
                drift = 0.0
            step[:] = g
            backsolve(d, h, step)
            decrease = 0.0
            for j in range(d):
                decrease += g[j] * step[j]
            length, found = 1.0, False
            while length > SHORTEST and not found:
                for j in range(d):
                    new[j] = w[j] - length * step[j]
                score(size, v, own, x, new, tried)
                reached = binary_loss(size, tried, y, weight, q) + 0.5 * strength * squares(d - 1, new)
                # near the optimum the value's rounding exceeds the decrease, and the full step is the right one
                found = reached <= value - 1e-4 * length * decrease + ROUNDING * (1.0 + abs(value))
                if not found:
                    length *= 0.5
            if not found:
                break
            moved = 0.0
            for i in range(size):
                moved = max(moved, abs(tried[i] - z[i]))
            w, new, z, tried, p, q, value = new, w, tried, z, q, p, reached
            drift += moved
            if length == 1.0 and moved * drift < tolerance * tolerance:
                done[e] = True
                break
            if length < 1.0:
                drift = math.inf
        for a in range(v):
            out[e, seen[a]] = w[a]
        for k in range(measures):
            out[e, levels + k] = w[v + k]
