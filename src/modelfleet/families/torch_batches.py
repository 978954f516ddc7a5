"""Rows of many entities as one block: padded to equal length, entities of like size together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.torch_mlp import STRIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from modelfleet.families.design import Layout


@dataclass(frozen=True)
class Block:
    """Some units (entities, or parts of their rows) side by side.

    Attributes:
        units: (B,) which.
        row: (k,) each row's place among all rows.
        at: (k,) its place in the block laid flat, unit after unit.
        length: Rows each unit has room for.
    """

    units: NDArray[np.int64]
    row: NDArray[np.int64]
    at: NDArray[np.int64]
    length: int


def length_of(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many rows are reserved for a unit of each size: a multiple of 16, an eighth of a power of two apart.

    It depends on nothing but the size, so that an entity is computed alike in any company.
    """
    sizes = np.maximum(np.asarray(sizes, dtype=np.int64), 1)
    step = np.maximum(STRIDE, 2 ** np.ceil(np.log2(sizes)).astype(np.int64) // 8)
    return -(-sizes // step) * step


def blocks(
    first: NDArray[np.int64], sizes: NDArray[np.int64], length: NDArray[np.int64], most: int, cells: int
) -> Iterator[Block]:
    """Yield the units in blocks of equal length.

    Args:
        first: (units,) each one's first row.
        sizes: (units,) number of its rows.
        length: (units,) rows to reserve.
        most: Most units in a block.
        cells: Most rows in a block, padding included, if it has more than one unit.
    """
    for room in np.unique(length):
        alike = np.flatnonzero(length == room)
        count = int(max(1, min(most, cells // max(room, 1))))
        for start in range(0, len(alike), count):
            units = alike[start : start + count]
            which = np.repeat(np.arange(len(units)), sizes[units])
            within = np.arange(len(which)) - np.repeat(np.cumsum(sizes[units]) - sizes[units], sizes[units])
            yield Block(units, first[units][which] + within, which * room + within, int(room))


def columns_of(
    layout: Layout,
    codes: NDArray[np.int32],
    numbers: NDArray[np.float64],
    block: Block,
    seen: NDArray[np.bool_] | None,
    width: int,
) -> NDArray[np.float32]:
    """Return a block's dense columns (units, length, width): levels, then numbers, then zeros.

    Args:
        layout: Where each feature's columns are.
        codes: (n, categories), -1 unseen.
        numbers: (n, numbers), standardised.
        block: Which rows.
        seen: (k, levels) whether the row's model knows the level; None where it knows all that occur.
        width: At least the layout's.
    """
    dense = np.zeros((len(block.units) * block.length, width), dtype=np.float32)
    for feature, offset in enumerate(layout.offsets[:-1]):
        code = codes[block.row, feature]
        column = code + offset
        known = code >= 0
        if seen is not None:
            known &= seen[np.arange(len(code)), np.where(code >= 0, column, 0)]
        dense[block.at[known], column[known]] = 1.0
    dense[block.at, layout.levels : layout.width] = numbers[block.row]
    return dense.reshape(len(block.units), block.length, width)
