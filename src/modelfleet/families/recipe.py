"""What a scikit-learn Pipeline does before the estimator, done for the entities of a shard at once.

Encoders, imputers and scalers of scikit-learn cost ten times as much as a small estimator's fit. Their results are
per-entity sums, extremes and ranks, which numpy finds for all entities in one pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from modelfleet.families.design import FARTHEST, bounded
from modelfleet.families.segments import medians, segment_of_row, sums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import DTypeLike, NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.families.design import Layout

LARGEST_UNSCALED = 1e38
"""Numbers that are not scaled are kept within it, so that estimators that compute in float32 can take them."""

BLOCK_CELLS = 2**22
"""Most cells of dense columns that are made at once, unless one entity alone has more: 32 MiB."""


@dataclass(frozen=True)
class Recipe:
    """How rows become the columns an estimator sees: the categories', then the numbers'.

    Attributes:
        layout: The fleet's columns.
        categories: ``onehot``: a column per level that the entity's training rows have ("missing" is a level), all
            zero for any other (scikit-learn's ``OneHotEncoder(handle_unknown="ignore")``). ``ordinal``: a column per
            feature, the level's rank among those the entity has, missing first, -1 for any other
            (``OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)``).
        impute: What stands in for a missing number, as ``SimpleImputer(keep_empty_features=True)`` does it; ``none``
            leaves it NaN.
        fill_value: The number of ``impute: constant``.
        numbers: ``standard`` (``StandardScaler``), ``minmax`` (``MinMaxScaler``) or ``none``; after imputing.
    """

    layout: Layout
    categories: Literal["onehot", "ordinal"]
    impute: Literal["mean", "median", "constant", "none"]
    fill_value: float
    numbers: Literal["none", "standard", "minmax"]

    def learn(self, rows: EncodedRows, bounds: NDArray[np.int64]) -> Learnt:
        """Return what each entity's rows say, for E entities at once.

        Args:
            rows: n rows, entity after entity.
            bounds: (E + 1,) ascending from 0 to n.
        """
        seen = np.zeros((len(bounds) - 1, self.layout.levels), dtype=bool)
        known = rows.codes >= 0
        row, _ = np.nonzero(known)
        seen[segment_of_row(bounds)[row], (rows.codes + self.layout.offsets[:-1])[known]] = True
        fill, offset, scale = self._learn_numbers(rows.numbers, bounds)
        return Learnt(self, self.ranks(seen), fill, offset, scale)

    def ranks(self, seen: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Return where each seen level goes, -1 for the others.

        Args:
            seen: (models, level columns).

        Returns:
            (models, level columns): the dense column (``onehot``), or the value in its feature's column (``ordinal``).
        """
        rank = np.cumsum(seen, axis=1, dtype=np.int32) - 1
        if self.categories == "ordinal":
            starts = self.layout.offsets[:-1]
            before = rank[:, starts] + 1 - seen[:, starts]  # levels seen in the features before
            rank -= np.repeat(before, np.diff(self.layout.offsets), axis=1)
        return np.where(seen, rank, np.int32(-1))

    def _learn_numbers(
        self, numbers: NDArray[np.float64], bounds: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        values = self.limited(numbers)
        sizes = np.diff(bounds)
        fill = self._fill(values, bounds)
        if self.impute != "none":
            values = np.where(np.isnan(values), np.repeat(fill, sizes, axis=0), values)
        if self.numbers == "none":
            return fill, np.zeros_like(fill), np.ones_like(fill)
        known = ~np.isnan(values)
        count = np.maximum(sums(known.astype(np.float64), bounds), 1.0)
        epsilon = np.finfo(np.float64).eps
        if self.numbers == "minmax":
            low = sums(np.where(known, values, np.inf), bounds, np.minimum)
            width = sums(np.where(known, values, -np.inf), bounds, np.maximum) - low
            offset = np.where(np.isfinite(low), low, 0.0)
            return fill, offset, np.where(width >= 10 * epsilon, width, 1.0)
        offset = sums(np.where(known, values, 0.0), bounds) / count
        apart = np.where(known, values - np.repeat(offset, sizes, axis=0), 0.0)
        # the second term is 0 but for rounding; scikit-learn subtracts it too (Chan, Golub and LeVeque 1983)
        variance = np.maximum(sums(apart**2, bounds) - sums(apart, bounds) ** 2 / count, 0.0) / count
        # a constant column's variance is rounding error, not signal: StandardScaler draws the same line
        rounding = count * epsilon * variance + (count * offset * epsilon) ** 2
        return fill, offset, np.where(variance > rounding, np.sqrt(variance), 1.0)

    def _fill(self, values: NDArray[np.float64], bounds: NDArray[np.int64]) -> NDArray[np.float64]:
        if self.impute in {"constant", "none"}:
            value = self.fill_value if self.impute == "constant" else np.nan
            return np.full((len(bounds) - 1, values.shape[1]), value)
        if self.impute == "median":
            return np.nan_to_num(medians(values, bounds), nan=0.0)
        known = ~np.isnan(values)
        return sums(np.where(known, values, 0.0), bounds) / np.maximum(sums(known.astype(np.float64), bounds), 1.0)

    def limited(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the numbers with infinite ones made missing and the rest kept to what can be computed with."""
        values = bounded(numbers)
        return np.clip(values, -LARGEST_UNSCALED, LARGEST_UNSCALED) if self.numbers == "none" else values


@dataclass(frozen=True)
class Learnt:
    """What a recipe has learnt from the training rows of M entities.

    Attributes:
        recipe: How it is used.
        rank: (M, level columns) int32, as ``Recipe.ranks``.
        fill: (M, numbers) what stands in for a missing number; NaN leaves it missing.
        offset: (M, numbers) subtracted from it.
        scale: (M, numbers) divides it then; never 0.
    """

    recipe: Recipe
    rank: NDArray[np.int32]
    fill: NDArray[np.float64]
    offset: NDArray[np.float64]
    scale: NDArray[np.float64]

    @property
    def widths(self) -> NDArray[np.int64]:
        """Number of columns that each model's estimator sees (M,)."""
        layout = self.recipe.layout
        if self.recipe.categories == "ordinal":
            return np.full(len(self.rank), len(layout.offsets) - 1 + layout.numbers, dtype=np.int64)
        seen: NDArray[np.int64] = (self.rank >= 0).sum(axis=1) + layout.numbers
        return seen

    def matrices(
        self, rows: EncodedRows, bounds: NDArray[np.int64], models: NDArray[np.integer], dtype: DTypeLike = np.float64
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the columns of each group of rows, (rows of the group, its model's width).

        Args:
            rows: n rows, group after group.
            bounds: (G + 1,) ascending from 0 to n.
            models: (G,) the model each group is for.
            dtype: Of the matrices.
        """
        sizes, widths = np.diff(bounds), self.widths[models]
        cells = sizes * widths
        for first, last in _blocks(cells):
            part = slice(int(bounds[first]), int(bounds[last]))
            flat = self._flat(rows.take(part), sizes[first:last], models[first:last], widths[first:last], dtype)
            ends = np.cumsum(cells[first:last])
            for group, end in enumerate(ends):
                size, width = int(sizes[first + group]), int(widths[first + group])
                yield flat[end - size * width : end].reshape(size, width)

    def _flat(
        self,
        rows: EncodedRows,
        sizes: NDArray[np.int64],
        models: NDArray[np.integer],
        widths: NDArray[np.int64],
        dtype: DTypeLike,
    ) -> NDArray[np.floating]:
        """Return the cells of some groups, one matrix after the other."""
        layout = self.recipe.layout
        cells = sizes * widths
        flat = np.zeros(int(cells.sum()), dtype=dtype)
        bounds = np.concatenate([[0], np.cumsum(sizes)])
        row_in_group = np.arange(len(rows)) - np.repeat(bounds[:-1], sizes)
        width = np.repeat(widths, sizes)
        start = np.repeat(np.cumsum(cells) - cells, sizes) + row_in_group * width  # of each row's cells
        model = np.repeat(models, sizes)
        if len(layout.offsets) > 1:
            known = rows.codes >= 0
            rank = self.rank[model[:, None], np.where(known, rows.codes + layout.offsets[:-1], 0)]
            rank = np.where(known, rank, -1)
            if self.recipe.categories == "ordinal":
                flat[start[:, None] + np.arange(rank.shape[1])] = rank
            else:
                row, feature = np.nonzero(rank >= 0)
                flat[start[row] + rank[row, feature]] = 1
        if layout.numbers:
            places = (start + width - layout.numbers)[:, None] + np.arange(layout.numbers)
            flat[places] = self._numbers(rows.numbers, model)
        return flat

    def _numbers(self, numbers: NDArray[np.float64], model: NDArray[np.integer]) -> NDArray[np.float64]:
        values = self.recipe.limited(numbers)
        if self.recipe.impute != "none":
            values = np.where(np.isnan(values), self.fill[model], values)
        if self.recipe.numbers == "none":
            return values
        scaled: NDArray[np.float64] = (values - self.offset[model]) / self.scale[model]
        return np.clip(scaled, -FARTHEST, FARTHEST, out=scaled)


def _blocks(cells: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield consecutive groups, first and one after the last, of at most ``BLOCK_CELLS`` cells or one group."""
    first, held = 0, 0
    for group, size in enumerate(cells.tolist()):
        if held and held + size > BLOCK_CELLS:
            yield first, group
            first, held = group, 0
        held += size
    if first < len(cells):
        yield first, len(cells)
