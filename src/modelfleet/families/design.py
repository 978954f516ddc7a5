"""The columns that models see: one per category level, then the numbers, the same layout for a whole fleet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema

LARGEST = 1e150
"""Numbers beyond it are taken as this large, so that their squares stay finite; infinite ones count as missing."""

FARTHEST = 1e12
"""Most standard deviations from the mean a number can be; farther ones are taken as this far."""


@dataclass(frozen=True)
class Layout:
    """Where each feature's columns are.

    Attributes:
        offsets: (number of category features + 1,) int64; feature j's columns start at ``offsets[j]``, the first
            for "missing", then one per level.
        numbers: Number of number features; their columns follow the last level's.
    """

    offsets: NDArray[np.int64]
    numbers: int

    @classmethod
    def of(cls, schema: Schema) -> Layout:
        """Return the layout of a schema's features."""
        sizes = [len(feature.levels or ()) + 1 for feature in schema.categories]
        return cls(np.cumsum([0, *sizes]).astype(np.int64), len(schema.numbers))

    @property
    def levels(self) -> int:
        """Number of level columns."""
        return int(self.offsets[-1])

    @property
    def width(self) -> int:
        """Number of all columns."""
        return self.levels + self.numbers

    def seen(self, codes: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the level columns that occur in the codes (n, categories), ascending."""
        flat = codes + self.offsets[:-1]
        found = np.zeros(self.levels, dtype=bool)
        found[flat[codes >= 0]] = True
        return np.flatnonzero(found)

    def one_hot(self, codes: NDArray[np.int32], seen: NDArray[np.int64], out: NDArray[np.floating]) -> None:
        """Set ``out[i, k]`` to 1 where row i has the level of column ``seen[k]``; an unseen level sets nothing.

        Args:
            codes: (n, categories).
            seen: Level columns, ascending.
            out: (n, at least len(seen)), zeros.
        """
        position = np.full(self.levels, -1, dtype=np.int64)
        position[seen] = np.arange(len(seen))
        columns = np.where(codes >= 0, position[np.where(codes >= 0, codes + self.offsets[:-1], 0)], -1)
        rows, features = np.nonzero(columns >= 0)
        out[rows, columns[rows, features]] = 1


@dataclass(frozen=True)
class Standard:
    """How an entity's numbers are made comparable: subtract the mean, divide by the scale, missing is the mean.

    Attributes:
        mean: (numbers,) or, for many models, (models, numbers).
        scale: The same shape, never 0.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, numbers: NDArray[np.float64]) -> Standard:
        """Return mean and standard deviation; 0 and 1 for a column without values, scale 1 for a constant one."""
        each = cls.of_each(numbers, np.array([0, len(numbers)]))
        return cls(each.mean[0], each.scale[0])

    @classmethod
    def of_each(cls, numbers: NDArray[np.float64], bounds: NDArray[np.int64]) -> Standard:
        """Return ``of`` for each entity at once, (entities, numbers).

        Args:
            numbers: (n, numbers), NaN where missing.
            bounds: (entities + 1,) ascending from 0 to n; rows ``bounds[e]:bounds[e + 1]`` are entity e's.
        """
        values = bounded(numbers)
        known = ~np.isnan(values)
        sizes = np.diff(bounds)
        total = _sums(known.astype(np.float64), bounds)
        safe = np.where(total > 0, total, 1.0)
        mean = _sums(np.where(known, values, 0.0), bounds) / safe
        variance = _sums(np.where(known, values - np.repeat(mean, sizes, axis=0), 0.0) ** 2, bounds) / safe
        # a constant column's variance is rounding error, not signal: scikit-learn's StandardScaler draws the same line
        epsilon, count = np.finfo(np.float64).eps, sizes[:, None]
        rounding = count * epsilon * variance + (count * mean * epsilon) ** 2
        return cls(mean, np.where(variance > rounding, np.sqrt(variance), 1.0))

    def apply(self, numbers: NDArray[np.float64], model: NDArray[np.int32] | None = None) -> NDArray[np.float64]:
        """Return the standardised numbers (n, numbers), without NaN.

        Args:
            numbers: (n, numbers), NaN where missing.
            model: (n,) which of many models each row belongs to; None where there is one.
        """
        mean, scale = (self.mean, self.scale) if model is None else (self.mean[model], self.scale[model])
        standard: NDArray[np.float64] = bounded(numbers) - mean
        standard /= scale
        np.copyto(standard, 0.0, where=np.isnan(standard))
        return np.clip(standard, -FARTHEST, FARTHEST, out=standard)


def _sums(values: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each entity's sums over its rows, (entities, columns)."""
    sums = np.zeros((len(bounds) - 1, values.shape[1]))
    filled = bounds[1:] > bounds[:-1]
    if filled.any():
        sums[filled] = np.add.reduceat(values, bounds[:-1][filled], axis=0)
    return sums


def bounded(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the numbers with infinite ones made missing and the rest kept within ``LARGEST``."""
    if len(numbers) and numbers.size and numbers.min() > -LARGEST and numbers.max() < LARGEST:
        return numbers  # as nearly always: NaN compares false
    return np.clip(np.where(np.isfinite(numbers), numbers, np.nan), -LARGEST, LARGEST)


def standardised(layout: Layout, rows: EncodedRows, seen: NDArray[np.int64], standard: Standard) -> NDArray[np.float64]:
    """Return one entity's dense columns: its seen levels, then its standardised numbers.

    Returns:
        (n, len(seen) + numbers)
    """
    dense = np.zeros((len(rows), len(seen) + layout.numbers))
    layout.one_hot(rows.codes, seen, dense)
    dense[:, len(seen) :] = standard.apply(rows.numbers)
    return dense
