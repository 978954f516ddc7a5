"""Solving small symmetric systems, many of whose cells are zero; matrices hold their upper triangle only."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.kernels.code_columns import STRIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


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
            if h[k, i] != 0.0:
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
