"""What the tree kernels do before an entity's first node, and how they draw columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def own_columns(
    codes: NDArray[np.int32],
    offsets: NDArray[np.int64],
    first: int,
    size: int,
    place: NDArray[np.int32],
    column_category: NDArray[np.int32],
    column_code: NDArray[np.int32],
) -> int:
    """Number the level columns that occur in an entity's rows, ascending, and return how many there are.

    Args:
        codes: (n, categories) int32, -1 unseen.
        offsets: (categories + 1,) int64, where each category's level columns start.
        first: The entity's first row.
        size: Number of its rows.
        place: Out, (level columns,): the entity's number of the column, -1 where it does not occur.
        column_category: Out, by the entity's number: the category.
        column_code: Out: the level's code.
    """
    categories = len(offsets) - 1
    place[:] = -1
    for i in range(first, first + size):
        for j in range(categories):
            if codes[i, j] >= 0:
                place[offsets[j] + codes[i, j]] = 0
    levels = 0
    for j in range(categories):
        for c in range(offsets[j], offsets[j + 1]):
            if place[c] == 0:
                place[c] = levels
                column_category[levels] = j
                column_code[levels] = c - offsets[j]
                levels += 1
    return levels


def own_classes(label: NDArray[np.int32], first: int, size: int, own_class: NDArray[np.int32]) -> int:
    """Number the classes that occur in an entity's rows, ascending, and return how many there are.

    Args:
        label: (n,) class index.
        first: The entity's first row.
        size: Number of its rows.
        own_class: Out, (classes,): the entity's number of the class, -1 where it does not occur.
    """
    own_class[:] = -1
    for i in range(first, first + size):
        own_class[label[i]] = 0
    labels = 0
    for k in range(len(own_class)):
        if own_class[k] == 0:
            own_class[k] = labels
            labels += 1
    return labels


def next_draw(draw: np.uint32) -> np.uint32:
    """Return the state after another (``sklearn.utils._random``, a 32-bit xorshift)."""
    if draw == 0:
        draw = np.uint32(1)
    draw ^= np.uint32(draw << np.uint32(13))
    draw ^= np.uint32(draw >> np.uint32(17))
    draw ^= np.uint32(draw << np.uint32(5))
    return draw
