"""The sort of scikit-learn's trees, which leaves equal values in an order of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMALLEST_SORT = 15
"""Most values that scikit-learn sorts by insertion."""


def sift(values: NDArray[np.float32], rows: NDArray[np.int32], base: int, root: int, end: int) -> None:
    """Let the value at ``root`` of the heap of ``end`` values from ``base`` on sink to its place."""
    while True:
        child = root * 2 + 1
        largest = root
        if child < end and values[base + largest] < values[base + child]:
            largest = child
        if child + 1 < end and values[base + largest] < values[base + child + 1]:
            largest = child + 1
        if largest == root:
            return
        a, b = base + root, base + largest
        values[a], values[b] = values[b], values[a]
        rows[a], rows[b] = rows[b], rows[a]
        root = largest


def sort_rows(  # noqa: PLR0912, PLR0915  the three sorts that make one
    values: NDArray[np.float32], rows: NDArray[np.int32], start: int, end: int, later: NDArray[np.int64]
) -> None:
    """Sort values ascending and rows with them, equal values in the order scikit-learn's sort leaves them in.

    It is an introsort with a three-way partition (``sklearn.utils._sorting``), which is not stable.

    Args:
        values: Without NaN.
        rows: As many.
        start: First position to sort.
        end: Position after the last.
        later: (at least 3 * 64,) room for parts still to be sorted.
    """
    patience = 0
    while (end - start) >> (patience + 1):
        patience += 1
    patience *= 2  # as many partitions as log2(n) allows, twice
    waiting = 0
    while True:
        n = end - start
        if n > SMALLEST_SORT and patience > 0:
            patience -= 1
            a, b, c = values[start], values[start + n // 2], values[end - 1]
            if a < b:
                pivot = b if b < c else (c if a < c else a)
            elif b < c:
                pivot = a if a < c else c
            else:
                pivot = b
            at = less = start
            more = end
            while at < more:
                x = values[at]
                if x < pivot:
                    values[at], values[less] = values[less], x
                    rows[at], rows[less] = rows[less], rows[at]
                    at += 1
                    less += 1
                elif x > pivot:
                    more -= 1
                    values[at], values[more] = values[more], x
                    rows[at], rows[more] = rows[more], rows[at]
                else:
                    at += 1
            if less - start > 1:
                later[waiting], later[waiting + 1], later[waiting + 2] = start, less, patience
                waiting += 3
            start = more
            continue
        if n > SMALLEST_SORT:
            for root in range((n - 2) // 2, -1, -1):
                sift(values, rows, start, root, n)
            for last in range(n - 1, 0, -1):
                values[start], values[start + last] = values[start + last], values[start]
                rows[start], rows[start + last] = rows[start + last], rows[start]
                sift(values, rows, start, 0, last)
        else:
            for i in range(start + 1, end):
                x = values[i]
                row = rows[i]
                j = i
                while j > start and values[j - 1] > x:
                    values[j] = values[j - 1]
                    rows[j] = rows[j - 1]
                    j -= 1
                values[j] = x
                rows[j] = row
        if waiting == 0:
            return
        waiting -= 3
        start, end, patience = later[waiting], later[waiting + 1], later[waiting + 2]
