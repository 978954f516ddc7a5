"""What one-hot columns would be multiplied with, from category codes: no dense matrix is made.

A row has one level per category and a few numbers, so a gradient or a Hessian touches far fewer cells than the one-hot
matrix has. Within an entity the columns are: the levels its rows have (v of them), the numbers, the intercept, and in
vectors one more for levels it has not, whose coefficient stays 0. Matrices hold their upper triangle only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[Any]

STRIDE = 16
"""Lines of a matrix are this many numbers long, or a multiple, and are worked on from such a multiple on: loops of
whole vectors take half the time, and what they do below the diagonal is never read."""


def place(
    first: int, size: int, offsets: Integers, codes: Integers, seen: Integers, at: Integers, own: Integers
) -> int:
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
