"""A node's rows by the levels of its categories, and the order that sorting by a level leaves them in.

A one-hot column needs no sort: what scikit-learn's does to the rows by zeros and ones is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.families.kernels.introsort import SMALLEST_SORT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def count_levels(
    own: NDArray[np.int32], rows: NDArray[np.int32], start: int, end: int, count: NDArray[np.int64]
) -> None:
    """Count the rows of each level.

    Args:
        own: (features, n) level of each row, -1 for none.
        rows: Row numbers, of which ``start`` to ``end`` are counted.
        start: First position.
        end: Position after the last.
        count: Out, by level.
    """
    count[:] = 0
    for p in range(start, end):
        for j in range(len(own)):
            level = own[j, rows[p]]
            if level >= 0:
                count[level] += 1


def list_levels(
    own: NDArray[np.int32],
    rows: NDArray[np.int32],
    start: int,
    end: int,
    feature: NDArray[np.int32],
    count: NDArray[np.int64],
    begin: NDArray[np.int64],
    bucket: NDArray[np.int32],
) -> None:
    """List the rows of each level.

    Args:
        own: (features, n) level of each row, -1 for none.
        rows: Row numbers, of which ``start`` to ``end`` are listed.
        start: First position.
        end: Position after the last.
        feature: The feature of each level, ascending.
        count: Number of rows of each level.
        begin: Out, by level: where its first row is in its feature's list.
        bucket: Out: (features, n) row numbers by level.
    """
    for level in range(len(count)):
        begin[level] = 0
        if level > 0 and feature[level] == feature[level - 1]:
            begin[level] = begin[level - 1] + count[level - 1]
    for p in range(start, end):
        for j in range(len(own)):
            level = own[j, rows[p]]
            if level >= 0:
                bucket[j, begin[level]] = rows[p]
                begin[level] += 1
    for level in range(len(count)):
        begin[level] -= count[level]


def sort_level(
    own: NDArray[np.int32],
    feature: int,
    level: int,
    rows: NDArray[np.int32],
    start: int,
    end: int,
    spare: NDArray[np.int32],
) -> None:
    """Do to the rows what ``sort_rows`` does to them by a one-hot column: those of the level go last.

    Args:
        own: (features, n) level of each row.
        feature: Which feature.
        level: Which of its levels.
        rows: Row numbers, of which ``start`` to ``end`` are sorted.
        start: First position to sort.
        end: Position after the last.
        spare: Room for as many rows.
    """
    n = end - start
    if n <= SMALLEST_SORT:
        at, ones = start, 0
        for i in range(start, end):
            row = rows[i]
            one = 1 if own[feature, row] == level else 0
            rows[at] = row
            spare[ones] = row
            ones += one
            at += 1 - one
        for i in range(ones):
            rows[at + i] = spare[i]
        return
    ones = 0
    for at in (start, start + n // 2, end - 1):
        if own[feature, rows[at]] == level:
            ones += 1
    if ones < 2:  # the pivot, the median of the three, is 0
        at, more = start, end
        while at < more:
            row = rows[at]
            if own[feature, row] == level:
                more -= 1
                rows[at], rows[more] = rows[more], row
            else:
                at += 1
    else:
        less = start
        for at in range(start, end):
            row = rows[at]
            if own[feature, row] != level:
                rows[at], rows[less] = rows[less], row
                less += 1


def sort_rare_level(
    bucket: NDArray[np.int32],
    feature: int,
    begin: int,
    count: int,
    rows: NDArray[np.int32],
    place: NDArray[np.int32],
    end: int,
    at: NDArray[np.int32],
) -> None:
    """Do what ``sort_level`` does where its pivot is 0, touching only the rows that move.

    Args:
        bucket: (features, n) row numbers; from ``begin`` on those of the level, in any order.
        feature: Which feature.
        begin: Position of the level's first row.
        count: Number of its rows.
        rows: Row numbers, more than the few that are sorted by insertion.
        place: Position of each row, kept up.
        end: Position after the last that is sorted.
        at: Room for as many.
    """
    last = count - 1
    for i in range(last + 1):
        position = place[bucket[feature, begin + i]]
        j = i
        while j > 0 and at[j - 1] > position:
            at[j] = at[j - 1]
            j -= 1
        at[j] = position
    more = end
    next_one = 0
    while next_one <= last:
        here = at[next_one]
        more -= 1
        a, b = rows[here], rows[more]
        rows[here], rows[more] = b, a
        place[a], place[b] = more, here
        if at[last] == more:  # what came here is of the level too
            last -= 1
        else:
            next_one += 1
