"""The rows of a whole shard as the linear models' solvers take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.design import Standard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.families.base import TrainingShard
    from modelfleet.families.design import Layout


@dataclass(frozen=True)
class ShardDesign:
    """A shard's columns.

    Attributes:
        layout: Where each feature's columns are.
        bounds: (E + 1,) int64, as the shard's.
        codes: (n, categories) int32, -1 unseen.
        numbers: (n, numbers + 1): standardised within each entity, then a column of ones for the intercept.
        weights: (n,) float64.
        standard: How the numbers were standardised, (E, numbers).
    """

    layout: Layout
    bounds: NDArray[np.int64]
    codes: NDArray[np.int32]
    numbers: NDArray[np.float64]
    weights: NDArray[np.float64]
    standard: Standard

    @classmethod
    def of(cls, layout: Layout, shard: TrainingShard) -> ShardDesign:
        """Return the design of a shard."""
        bounds = np.asarray(shard.bounds, dtype=np.int64)
        standard = Standard.of_each(shard.rows.numbers, bounds)
        numbers = np.ones((len(shard.rows), layout.numbers + 1))
        numbers[:, :-1] = standard.apply(shard.rows.numbers, entity_of_row(bounds))
        weights = np.ones(len(numbers)) if shard.weights is None else np.asarray(shard.weights, dtype=np.float64)
        codes = np.ascontiguousarray(shard.rows.codes, dtype=np.int32)
        return cls(layout, bounds, codes, numbers, np.ascontiguousarray(weights), standard)

    def rows_of(self, entities: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return first row and the row after the last of the entities, (entities, 2)."""
        return np.column_stack([self.bounds[entities], self.bounds[entities + 1]])

    def dense(self, entity: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return one entity's columns (n, columns), the intercept's last, and each one's place in the layout."""
        part = slice(int(self.bounds[entity]), int(self.bounds[entity + 1]))
        layout = self.layout
        seen = layout.seen(self.codes[part])
        columns = np.zeros((part.stop - part.start, len(seen) + layout.numbers + 1))
        layout.one_hot(self.codes[part], seen, columns)
        columns[:, len(seen) :] = self.numbers[part]
        return columns, np.concatenate([seen, np.arange(layout.levels, layout.width + 1)])

    def seen(self) -> NDArray[np.bool_]:
        """Return which level columns occur in each entity's rows (E, levels)."""
        found = np.zeros((len(self.bounds) - 1, self.layout.levels), dtype=bool)
        entity = entity_of_row(self.bounds)
        for feature, offset in enumerate(self.layout.offsets[:-1]):
            known = self.codes[:, feature] >= 0
            found[entity[known], self.codes[known, feature] + offset] = True
        return found

    def narrow(self, entities: NDArray[np.int64], most: int) -> NDArray[np.bool_]:
        """Return which of the entities have at most so many columns, the intercept included (entities,)."""
        if self.layout.width < most:
            return np.ones(len(entities), dtype=bool)
        within: NDArray[np.bool_] = self.seen().sum(axis=1) + self.layout.numbers < most
        return within[entities]


def entity_of_row(bounds: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return each row's entity (n,)."""
    return np.repeat(np.arange(len(bounds) - 1, dtype=np.int32), np.diff(bounds))
