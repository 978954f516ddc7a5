"""Walking one tree per row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NODE = np.dtype(
    [("threshold", np.float64), ("right", np.int32), ("feature", np.int16), ("missing_left", np.bool_)], align=True
)
"""What a step of a walk reads, in 16 bytes: the threshold, the right child (the left one is the next node; for a leaf
the row of its value), the feature (-1 for a leaf), and where missing numbers go."""


def walk(
    nodes: NDArray[Any],
    roots: NDArray[np.int64],
    codes: NDArray[np.int32],
    numbers: NDArray[np.float64],
    model: NDArray[np.int32],
    leaf: NDArray[np.int32],
) -> None:
    """Find the leaf of each row.

    Args:
        nodes: Of type ``NODE``.
        roots: (trees,) int64, each tree's first node.
        codes: (n, categories) int32.
        numbers: (n, numbers) float64, NaN where missing.
        model: (n,) int32, each row's tree.
        leaf: Out: (n,) the row of its leaf's value.
    """
    categories = codes.shape[1]
    largest = np.float64(np.finfo(np.float32).max)
    for i in range(len(model)):
        at = roots[model[i]]
        feature = nodes[at].feature
        while feature >= 0:
            if feature < categories:
                left = codes[i, feature] != nodes[at].threshold
            else:
                number = numbers[i, feature - categories]
                if np.isnan(number):
                    left = nodes[at].missing_left
                else:  # compared as training did: float32, infinite ones as the largest
                    left = np.float32(min(max(number, -largest), largest)) <= nodes[at].threshold
            at = at + 1 if left else np.int64(nodes[at].right)
            feature = nodes[at].feature
        leaf[i] = nodes[at].right
