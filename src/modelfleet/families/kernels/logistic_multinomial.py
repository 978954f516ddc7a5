"""L2 regularised logistic regression for three classes or more, by Newton's method and conjugate gradients."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.families.kernels.cholesky import backsolve, factor
from modelfleet.families.kernels.code_columns import STRIDE, gram, place, score, spread
from modelfleet.families.kernels.logistic_binary import ROUNDING, SHORTEST, squares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[Any]

LARGE_DRIFT = 0.5
"""Movement of scores since the Hessians were built up to which they are used again. They only precondition: old ones
make a step dearer but not wrong."""


def multinomial_loss(size: int, z: Floats, y: Integers, weight: Floats, p: Floats) -> float:
    """Return the weighted log loss of scores (classes, n); set ``p`` to the probabilities."""
    total = 0.0
    for i in range(size):
        top = z[0, i]
        for c in range(1, len(z)):
            top = max(top, z[c, i])
        odds = 0.0
        for c in range(len(z)):
            p[c, i] = math.exp(z[c, i] - top)
            odds += p[c, i]
        for c in range(len(z)):
            p[c, i] /= odds
        total += weight[i] * (math.log(odds) + top - z[y[i], i])
    return total


def centre(d: int, w: Floats) -> None:
    """Subtract from each column's coefficients their mean over the classes."""
    for j in range(d):
        mean = 0.0
        for c in range(len(w)):
            mean += w[c, j]
        mean /= len(w)
        for c in range(len(w)):
            w[c, j] -= mean


def curve(
    size: int, v: int, own: Integers, x: Floats, weight: Floats, p: Floats, strength: float, s: Floats, z: Floats,
    out: Floats,
) -> None:  # fmt: skip
    """Set ``out`` to the Hessian times ``s``, both (classes, columns + 1); ``z`` (classes, n) is scratch."""
    d = v + x.shape[1]
    for c in range(len(s)):
        score(size, v, own, x, s[c], z[c])
    for i in range(size):
        mean = 0.0
        for c in range(len(s)):
            mean += p[c, i] * z[c, i]
        for c in range(len(s)):
            z[c, i] = weight[i] * p[c, i] * (z[c, i] - mean)
    for c in range(len(s)):
        spread(size, v, own, x, z[c], out[c])
        for j in range(d - 1):
            out[c, j] += strength * s[c, j]


def multinomial(  # noqa: PLR0912, PLR0915
    bounds: Integers, offsets: Integers, codes: Integers, numbers: Floats, label: Integers, weights: Floats,
    classes: Integers, strength: float, steps: int, tolerance: float, out: Floats, done: NDArray[np.bool_],
    sources: int = 0,
) -> None:  # fmt: skip
    """Fit three or more classes for each entity, by conjugate gradients with each class's own Hessian factored.

    Args are those of ``binary``, but ``label`` (n,) int64 counts from 0 within the entity, ``classes`` (E,) says how
    many there are, and ``out`` is (E, most classes, columns). Coefficients sum to 0 over the classes, as they do in
    scikit-learn's solution: only there is the optimum unique.
    """
    most = 0
    for e in range(len(bounds)):
        most = max(most, bounds[e, 1] - bounds[e, 0])
    levels, measures = offsets[-1], numbers.shape[1]
    seen, at = np.empty(levels, dtype=np.int32), np.empty(levels, dtype=np.int32)
    own = np.empty((most, codes.shape[1]), dtype=np.int32)
    for e in range(len(bounds)):
        first, size, k = bounds[e, 0], bounds[e, 1] - bounds[e, 0], classes[e]
        v = place(first, size, offsets, codes, seen, at, own)
        d = v + measures
        x, y, weight = numbers[first:], label[first:], weights[first:]
        h = np.empty((k, d, d + STRIDE - d % STRIDE))
        w, new, g, step = np.zeros((k, d + 1)), np.zeros((k, d + 1)), np.zeros((k, d + 1)), np.zeros((k, d + 1))
        left, toward, bent = np.zeros((k, d + 1)), np.zeros((k, d + 1)), np.zeros((k, d + 1))
        z, tried, p, q, r = (
            np.zeros((k, size)), np.zeros((k, size)), np.zeros((k, size)), np.zeros((k, size)), np.zeros((k, size)),
        )  # fmt: skip
        value = multinomial_loss(size, z, y, weight, p)
        moved, drift = 1.0, math.inf
        for _ in range(steps):
            for c in range(k):
                for i in range(size):
                    r[c, i] = weight[i] * (p[c, i] - (1.0 if y[i] == c else 0.0))
                spread(size, v, own, x, r[c], g[c])
                for j in range(d - 1):
                    g[c, j] += strength * w[c, j]
            centre(d, g)
            if drift > LARGE_DRIFT:
                for c in range(k):
                    for i in range(size):
                        r[c, i] = weight[i] * p[c, i] * (1.0 - p[c, i])
                    gram(size, v, own, x, r[c], h[c])
                    for j in range(d - 1):
                        h[c, j, j] += strength
                    factor(d, h[c])
                drift = 0.0
            inexact = min(max(0.1 * moved * moved, 1e-8), 0.1)
            step[:] = 0.0
            left[:] = g
            toward[:] = 0.0
            before, begin = 1.0, 0.0
            for turn in range(200):
                bent[:] = left
                for c in range(k):
                    backsolve(d, h[c], bent[c])
                centre(d, bent)
                along = 0.0
                for c in range(k):
                    for j in range(d):
                        along += left[c, j] * bent[c, j]
                if turn == 0:
                    begin = along
                if not along > inexact * inexact * begin:
                    break
                ratio = along / before if turn else 0.0
                for c in range(k):
                    for j in range(d):
                        toward[c, j] = bent[c, j] + ratio * toward[c, j]
                before = along
                curve(size, v, own, x, weight, p, strength, toward, r, bent)
                bend = 0.0
                for c in range(k):
                    for j in range(d):
                        bend += toward[c, j] * bent[c, j]
                far = along / bend
                for c in range(k):
                    for j in range(d):
                        step[c, j] += far * toward[c, j]
                        left[c, j] -= far * bent[c, j]
            decrease = 0.0
            for c in range(k):
                for j in range(d):
                    decrease += g[c, j] * step[c, j]
            length, found = 1.0, False
            while length > SHORTEST and not found:
                penalty = 0.0
                for c in range(k):
                    for j in range(d):
                        new[c, j] = w[c, j] - length * step[c, j]
                    penalty += squares(d - 1, new[c])
                    score(size, v, own, x, new[c], tried[c])
                reached = multinomial_loss(size, tried, y, weight, q) + 0.5 * strength * penalty
                found = reached <= value - 1e-4 * length * decrease + ROUNDING * (1.0 + abs(value))
                if not found:
                    length *= 0.5
            if not found:
                break
            moved = 0.0
            for c in range(k):
                for i in range(size):
                    moved = max(moved, abs(tried[c, i] - z[c, i]))
            w, new, z, tried, p, q, value = new, w, tried, z, q, p, reached
            drift += moved
            if length == 1.0 and moved * max(moved, inexact) < tolerance * tolerance:
                done[e] = True
                break
        for c in range(k):
            for a in range(v):
                out[e, c, seen[a]] = w[c, a]
            for m in range(measures):
                out[e, c, levels + m] = w[c, v + m]
