"""A tree's rows in several orders at once: one list per number, sorted by it, in which a node is a slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def part_list(
    m: int,
    order: NDArray[np.int32],
    value: NDArray[np.float32],
    label: NDArray[np.int32],
    goes_left: NDArray[np.uint8],
    start: int,
    end: int,
    kept_order: NDArray[np.int32],
    kept_value: NDArray[np.float32],
    kept_label: NDArray[np.int32],
) -> None:
    """Move the rows of a slice that go left before the others, both in the order they had.

    Args:
        m: Which list.
        order: (lists, n) row numbers.
        value: (lists, n) the rows' numbers.
        label: (lists, n) the rows' classes.
        goes_left: (n,) by row: 1 where it goes left, else 0.
        start: First position of the slice.
        end: Position after its last.
        kept_order: Room for n.
        kept_value: Room for n.
        kept_label: Room for n.
    """
    at = start
    kept = 0
    for i in range(start, end):
        row, x, k = order[m, i], value[m, i], label[m, i]
        turn = goes_left[row]
        order[m, at], value[m, at], label[m, at] = row, x, k
        kept_order[kept], kept_value[kept], kept_label[kept] = row, x, k
        at += turn
        kept += 1 - turn
    for i in range(kept):
        order[m, at + i] = kept_order[i]
        value[m, at + i] = kept_value[i]
        label[m, at + i] = kept_label[i]
