"""L2 regularised logistic regression and ridge on category codes: Newton's method without a dense matrix.

A row has one level per category and a few numbers, so a gradient or a Hessian touches far fewer cells than the one-hot
matrix has. `newton_compiled` compiles every function here, each then calling the others' compiled form.

Within an entity the columns are: the levels its rows have (v of them), the numbers, the intercept, and one more for
levels it has not, whose coefficient stays 0. Matrices hold their upper triangle only.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[Any]

ROUNDING = 1e-13
"""Relative rounding error granted to the value of the objective."""

SMALL_DRIFT = 0.1
"""Movement of scores since the Hessian was built up to which it is used again: a step then errs by that share."""

LARGE_DRIFT = 0.5
"""The same where the Hessian only preconditions, which makes steps dearer but not wrong."""

STRIDE = 16
"""Lines of a matrix are this many numbers long, or a multiple, and are worked on from such a multiple on: loops of
whole vectors take half the time, and what they do below the diagonal is never read."""

SHORTEST = 1e-10
"""Step length below which a search along a direction is given up."""


def place(first: int, size: int, offsets: Integers, codes: Integers, seen: Integers, at: Integers, own: Integers) -> int:
    """Number the level columns of rows ``first`` to ``first + size``, rarest first; return how many there are.

    A rare level meets few others, so that eliminating it early leaves most of the Cholesky factor zero.

    Args:
        first: First row of the entity.
        size: Number of its rows.
        offsets: (categories + 1,) where each category's level columns start.
        codes: (n, categories) int32, -1 unseen.
        seen: Out, at least (levels,): the level column of each of the entity's columns.
        at: Scratch (levels,).
        own: Out, at least (size, categories): each row's columns, counted within the entity, ascending; -1 unseen.
    """
    categories = codes.shape[1]
    at[:] = 0
    for i in range(size):
        for j in range(categories):
            if codes[first + i, j] >= 0:
                at[offsets[j] + codes[first + i, j]] += 1
    levels = 0
    for c in np.argsort(at, kind="mergesort"):
        if at[c] > 0:
            at[c] = levels
            seen[levels] = c
            levels += 1
    for i in range(size):
        for j in range(categories):
            code = codes[first + i, j]
            column = at[offsets[j] + code] if code >= 0 else -1
            m = j
            while m > 0 and own[i, m - 1] > column:
                own[i, m] = own[i, m - 1]
                m -= 1
            own[i, m] = column
    return levels


def score(size: int, v: int, own: Integers, x: Floats, w: Floats, z: Floats) -> None:
    """Set ``z`` to the rows' weighted sums of columns; ``x`` (n, numbers + 1) ends with ones, for the intercept."""
    categories = own.shape[1]
    measures = x.shape[1]
    for i in range(size):
        total = 0.0
        for j in range(categories):
            total += w[own[i, j]]  # -1 is the last, which is 0
        for k in range(measures):
            total += w[v + k] * x[i, k]
        z[i] = total


def spread(size: int, v: int, own: Integers, x: Floats, r: Floats, out: Floats) -> None:
    """Set ``out`` to the columns' sums weighted by ``r``: the transpose of ``score``."""
    categories = own.shape[1]
    measures = x.shape[1]
    out[:] = 0.0
    for i in range(size):
        share = r[i]
        for j in range(categories):
            out[own[i, j]] += share
        for k in range(measures):
            out[v + k] += share * x[i, k]
    out[-1] = 0.0


def gram(size: int, v: int, own: Integers, x: Floats, s: Floats, h: Floats) -> None:
    """Set ``h`` to the columns' products summed over rows with weights ``s``."""
    categories = own.shape[1]
    measures = x.shape[1]
    d = v + measures
    h[:] = 0.0
    for i in range(size):
        share = s[i]
        for j in range(categories):
            a = own[i, j]
            if a < 0:
                continue
            for m in range(j + 1, categories):
                h[a, own[i, m]] += share
            for k in range(measures):
                h[a, v + k] += share * x[i, k]
    i = 0
    while i + 3 < size:  # four rows at a time, as each pass reads and writes the matrix
        for k in range(measures):
            p0, p1, p2, p3 = s[i] * x[i, k], s[i + 1] * x[i + 1, k], s[i + 2] * x[i + 2, k], s[i + 3] * x[i + 3, k]
            for m in range(k, measures):
                h[v + k, v + m] += (p0 * x[i, m] + p1 * x[i + 1, m]) + (p2 * x[i + 2, m] + p3 * x[i + 3, m])
        i += 4
    while i < size:
        for k in range(measures):
            for m in range(k, measures):
                h[v + k, v + m] += s[i] * x[i, k] * x[i, m]
        i += 1
    for a in range(v):  # a level's square is itself, so its diagonal is its product with the intercept
        h[a, a] = h[a, d - 1]


def factor(d: int, h: Floats) -> bool:
    """Replace ``h`` by its Cholesky factor; return whether it was positive definite (if not, it is made so).

    The diagonal then holds the reciprocals, which is what ``backsolve`` multiplies by.
    """
    largest = 0.0
    for i in range(d):
        largest = max(largest, h[i, i])
    width = h.shape[1]
    near = np.empty(d, dtype=np.int32)
    sound = True
    for i in range(d):
        count = 0
        for k in range(i):
            if h[k, i] != 0.0:  # noqa: RUF069  levels that never meet
                near[count] = k
                count += 1
        begin = i - i % STRIDE
        m = 0
        while m + 3 < count:  # four lines at a time, as each pass reads and writes this one
            k0, k1, k2, k3 = near[m], near[m + 1], near[m + 2], near[m + 3]
            f0, f1, f2, f3 = h[k0, i], h[k1, i], h[k2, i], h[k3, i]
            for j in range(begin, width):
                h[i, j] -= (f0 * h[k0, j] + f1 * h[k1, j]) + (f2 * h[k2, j] + f3 * h[k3, j])
            m += 4
        while m < count:
            k0 = near[m]
            f0 = h[k0, i]
            for j in range(begin, width):
                h[i, j] -= f0 * h[k0, j]
            m += 1
        pivot = h[i, i]
        if not pivot > 4e-16 * largest:
            sound = False
            pivot = 1e-10 * (1.0 + largest)
        inverse = 1.0 / math.sqrt(pivot)
        for j in range(begin, width):
            h[i, j] *= inverse
        h[i, i] = inverse
    return sound


def backsolve(d: int, h: Floats, b: Floats) -> None:
    """Replace ``b`` by the solution, given the factor."""
    for i in range(d):
        f = b[i] * h[i, i]
        b[i] = f
        for j in range(i + 1, d):
            b[j] -= f * h[i, j]
    for i in range(d - 1, -1, -1):
        # four sums, as a single one would wait for each addition
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        j = i + 1
        while j + 3 < d:
            s0 += h[i, j] * b[j]
            s1 += h[i, j + 1] * b[j + 1]
            s2 += h[i, j + 2] * b[j + 2]
            s3 += h[i, j + 3] * b[j + 3]
            j += 4
        while j < d:
            s0 += h[i, j] * b[j]
            j += 1
        b[i] = (b[i] - ((s0 + s1) + (s2 + s3))) * h[i, i]


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


def binary(
    bounds: Integers, offsets: Integers, codes: Integers, numbers: Floats, label: Floats, weights: Floats,
    strength: float, steps: int, tolerance: float, out: Floats, done: NDArray[np.bool_],
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
            if length == 1.0 and moved * drift < tolerance * tolerance:  # noqa: RUF069
                done[e] = True
                break
            if length < 1.0:
                drift = math.inf
        for a in range(v):
            out[e, seen[a]] = w[a]
        for k in range(measures):
            out[e, levels + k] = w[v + k]


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
            if length == 1.0 and moved * max(moved, inexact) < tolerance * tolerance:  # noqa: RUF069
                done[e] = True
                break
        for c in range(k):
            for a in range(v):
                out[e, c, seen[a]] = w[c, a]
            for m in range(measures):
                out[e, c, levels + m] = w[c, v + m]


def ridge(
    bounds: Integers, offsets: Integers, codes: Integers, numbers: Floats, target: Floats, weights: Floats,
    strength: float, out: Floats, done: NDArray[np.bool_],
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
