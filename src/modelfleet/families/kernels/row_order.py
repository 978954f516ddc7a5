"""Moving a node's rows about as scikit-learn's trees do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.kernels.introsort import sort_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray


def sort_number(
    measured: NDArray[np.float32],
    m: int,
    some_missing: bool,
    rows: NDArray[np.int32],
    values: NDArray[np.float32],
    start: int,
    end: int,
    later: NDArray[np.int64],
) -> int:
    """Sort rows by a number, missing ones last, and return how many are missing.

    Args:
        measured: (numbers, n), NaN where missing.
        m: Which number.
        some_missing: Whether any of it is missing in the tree.
        rows: Row numbers, of which ``start`` to ``end`` are sorted.
        values: Out: the numbers in the rows' order, as far as they are not missing.
        start: First position to sort.
        end: Position after the last.
        later: Room for ``sort_rows``.
    """
    missing = 0
    if some_missing:
        at = start
        last = end - 1
        while at <= last:
            if np.isnan(measured[m, rows[last]]):
                missing += 1
                last -= 1
                continue
            row = rows[at]
            if np.isnan(measured[m, row]):
                rows[at], rows[last] = rows[last], row
                missing += 1
                last -= 1
            values[at] = measured[m, rows[at]]
            at += 1
    else:
        for p in range(start, end):
            values[p] = measured[m, rows[p]]
    sort_rows(values, rows, start, end - missing, later)
    return missing


def missing_first(
    rows: NDArray[np.int32],
    values: NDArray[np.float32],
    start: int,
    end: int,
    missing: int,
    spare: NDArray[np.int32],
) -> None:
    """Move the last rows, whose number is missing, before the others.

    Args:
        rows: Row numbers, of which ``start`` to ``end`` are moved.
        values: The numbers, in the rows' order.
        start: First position.
        end: Position after the last.
        missing: How many are missing.
        spare: Room for as many rows.
    """
    for i in range(missing):
        spare[i] = rows[end - missing + i]
    for p in range(end - 1, start + missing - 1, -1):
        rows[p] = rows[p - missing]
        values[p] = values[p - missing]
    for i in range(missing):
        rows[start + i] = spare[i]


def part_rows(goes_left: NDArray[np.bool_], rows: NDArray[np.int32], start: int, end: int) -> None:
    """Move the rows that go left before those that do not.

    Args:
        goes_left: (n,) by row.
        rows: Row numbers, of which ``start`` to ``end`` are moved.
        start: First position.
        end: Position after the last.
    """
    while start < end:
        row = rows[start]
        if goes_left[row]:
            start += 1
        else:
            end -= 1
            rows[start], rows[end] = rows[end], row
