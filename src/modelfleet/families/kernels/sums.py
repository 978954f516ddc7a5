"""Adding up rows in scikit-learn's order, the last bit included."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def move_left(
    rows: NDArray[np.int32],
    names: NDArray[np.int32],
    part: NDArray[np.float64],
    share: NDArray[np.float64],
    done: int,
    at: int,
    end: int,
    whole: NDArray[np.float64],
    weight: float,
    left: NDArray[np.float64],
    weight_left: float,
) -> float:
    """Let the rows before ``at`` be those on the left, and return their weight.

    What is on the left is added up from where it was, or what is on the right is taken from the whole, whichever is
    fewer rows.

    Args:
        rows: The node's rows in order, and others.
        names: (n,) which sum a row belongs to.
        part: (n,) what it adds to it.
        share: (n,) its weight.
        done: Position after the last row that is on the left already.
        at: Position after the last that is to be.
        end: Position after the node's last row.
        whole: The node's sums.
        weight: Its weight.
        left: In and out: the sums on the left.
        weight_left: Weight on the left so far.
    """
    if at - done <= end - at:
        for p in range(done, at):
            row = rows[p]
            left[names[row]] += part[row]
            weight_left += share[row]
        return weight_left
    for k in range(len(whole)):
        left[k] = whole[k]
    weight_left = weight
    for p in range(end - 1, at - 1, -1):
        row = rows[p]
        left[names[row]] -= part[row]
        weight_left -= share[row]
    return weight_left


def add_squares(left: NDArray[np.float64], whole: NDArray[np.float64], classes: int) -> tuple[float, float]:
    """Return the sums of the squared class weights on the left and on the right.

    Args:
        left: (classes,) on the left.
        whole: (classes,) on both sides.
        classes: Number of classes.
    """
    on_left = 0.0
    on_right = 0.0
    for k in range(classes):
        on_left += left[k] * left[k]
        right = whole[k] - left[k]
        on_right += right * right
    return on_left, on_right
