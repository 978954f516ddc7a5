"""Growing one tree per entity: by scikit-learn on dense columns, or by the compiled kernel where it gives the same."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.errors import MissingExtraError
from modelfleet.families.kernels import compiled
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.families.design import Layout

LEAF = -1
LARGEST_DEPTH = 2**31 - 1


@dataclass(frozen=True)
class Grown:
    """One tree as flat arrays, a node's children after it.

    Attributes:
        feature: (nodes,) int16: category j, or number of categories + j for number j, -1 for a leaf.
        threshold: (nodes,) float64: the level code tested (equal goes right), or the number (larger goes right).
        left: (nodes,) int32: position of the left child, -1 for a leaf.
        right: (nodes,) int32.
        missing_left: (nodes,) bool: whether a missing number goes left.
        value: (nodes, outputs) float64: class shares, or the mean.
    """

    feature: NDArray[np.int16]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]


def as_float32(numbers: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the numbers as trees compare them: float32, infinite ones as the largest, NaN kept."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(numbers, -largest, largest).astype(np.float32)


@dataclass(frozen=True)
class Grower:
    """How trees are grown.

    Attributes:
        layout: The fleet's columns.
        task: What is predicted.
        outputs: Columns of a node's value.
        max_depth: Largest depth; None means no limit.
        min_samples_leaf: Fewest rows in a leaf.
        seed: scikit-learn's random_state.
    """

    layout: Layout
    task: Task
    outputs: int
    max_depth: int | None
    min_samples_leaf: int
    seed: int

    def by_kernel(
        self, bounds: NDArray[np.int64], rows: EncodedRows, target: NDArray[np.float64]
    ) -> list[Grown] | None:
        """Grow one tree per slice with the compiled kernel.

        Args:
            bounds: (trees + 1,), from 0 to n.
            rows: n rows without missing numbers.
            target: (n,) 0 or 1.

        Returns:
            The trees, or None where there is no compiled kernel.
        """
        grow = compiled.cart()
        if grow is None:
            return None
        tables = compiled.empty_tables(2 * len(rows))
        roots = np.zeros(len(bounds), dtype=np.int64)
        depth = LARGEST_DEPTH if self.max_depth is None else self.max_depth
        grow(
            bounds, self.layout.offsets, np.ascontiguousarray(rows.codes, dtype=np.int32), as_float32(rows.numbers),
            target.astype(np.uint8), compiled.first_draw(self.seed), depth, self.min_samples_leaf, *tables, roots,
        )  # fmt: skip
        feature, threshold, left, right, missing_left, count, positive = (table[: roots[-1]] for table in tables)
        value = np.column_stack([count - positive, positive]) / count[:, None]
        flat = (feature, threshold, left, right, missing_left, value)
        return [Grown(*(part[a:b] for part in flat)) for a, b in pairwise(roots)]

    def by_sklearn(self, rows: EncodedRows, target: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Grown:
        """Grow one tree with scikit-learn: any task, missing numbers, weights.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        try:
            from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
        except ModuleNotFoundError as error:
            raise MissingExtraError("scikit-learn", "sklearn") from error
        seen = self.layout.seen(rows.codes)
        dense = np.zeros((len(rows), len(seen) + self.layout.numbers), dtype=np.float32)
        self.layout.one_hot(rows.codes, seen, dense)
        dense[:, len(seen) :] = as_float32(rows.numbers)
        regression = self.task is Task.REGRESSION
        estimator = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(
            max_depth=self.max_depth, min_samples_leaf=self.min_samples_leaf, random_state=self.seed
        )
        # checking the input costs more than a small tree, and is needed only to find the missing values
        estimator.fit(dense, target, sample_weight=weights, check_input=bool(np.isnan(rows.numbers).any()))
        tree = estimator.tree_
        value = tree.value[:, 0, :]
        if not regression:
            shares = np.zeros((len(value), self.outputs))
            shares[:, estimator.classes_.astype(np.int64)] = value
            value = shares
        return self._flat(tree.feature, tree.threshold, tree, seen, value)

    def _flat(
        self,
        column: NDArray[np.int64],
        threshold: NDArray[np.float64],
        tree: object,
        seen: NDArray[np.int64],
        value: NDArray[np.float64],
    ) -> Grown:
        """Name features and levels instead of the entity's own dense columns."""
        children_left, children_right = tree.children_left, tree.children_right  # type: ignore[attr-defined]
        leaf = children_left < 0
        level = ~leaf & (column < len(seen))
        number = ~leaf & ~level
        feature = np.full(len(column), LEAF, dtype=np.int16)
        cut = np.zeros(len(column))
        flat = seen[column[level]]
        category = np.searchsorted(self.layout.offsets, flat, side="right") - 1
        feature[level] = category
        cut[level] = flat - self.layout.offsets[category]
        feature[number] = column[number] - len(seen) + len(self.layout.offsets) - 1
        cut[number] = threshold[number]
        missing_left = tree.missing_go_to_left.astype(bool) & ~leaf  # type: ignore[attr-defined]
        return Grown(feature, cut, children_left.astype(np.int32), children_right.astype(np.int32), missing_left, value)
