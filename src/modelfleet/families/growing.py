"""Growing one tree per entity: by the compiled kernels, or by scikit-learn, which grows the same trees."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.errors import MissingExtraError
from modelfleet.families.kernels import compiled
from modelfleet.families.nodes import LEAF, Trees
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.families.design import Layout

LARGEST_DEPTH = 2**31 - 1


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
        outputs: Columns of a leaf's value.
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

    def grow(
        self,
        bounds: NDArray[np.int64],
        rows: EncodedRows,
        target: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
    ) -> Trees:
        """Grow one tree per slice of rows.

        Args:
            bounds: (trees + 1,), from 0 to n, at least one row each.
            rows: n rows.
            target: (n,) class index, or number.
            weights: (n,) at least 0 and not 0 for a whole slice; None means each row weighs 1.

        Raises:
            MissingExtraError: There is neither numba nor scikit-learn.
        """
        trees = self.by_kernel(bounds, rows, target, weights)
        return trees or self.by_sklearn(bounds, rows, target, weights)

    def by_kernel(
        self,
        bounds: NDArray[np.int64],
        rows: EncodedRows,
        target: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
    ) -> Trees | None:
        """Grow them with a compiled kernel; None where there is none."""
        plain = self.task is not Task.REGRESSION and weights is None
        kernel = compiled.counting_cart() if plain else compiled.summing_cart()
        if kernel is None:
            return None
        leaves = int(np.maximum(np.diff(bounds) // self.min_samples_leaf, 1).sum())
        tables = compiled.empty_tables(2 * leaves - len(bounds) + 1, leaves, self.outputs)
        roots = np.zeros(len(bounds), dtype=np.int64)
        encoded = (
            bounds, self.layout.offsets, np.ascontiguousarray(rows.codes, dtype=np.int32),
            np.ascontiguousarray(as_float32(rows.numbers)),
        )  # fmt: skip
        nothing = np.empty(0)
        label = target.astype(np.int32) if self.task is not Task.REGRESSION else np.empty(0, np.int32)
        values: tuple[NDArray[np.generic], ...] = (label,)
        if not plain:
            number = np.ascontiguousarray(target) if self.task is Task.REGRESSION else nothing
            values = label, number, nothing if weights is None else np.ascontiguousarray(weights)
        depth = LARGEST_DEPTH if self.max_depth is None else self.max_depth
        found = kernel(*encoded, *values, compiled.first_draw(self.seed), depth, self.min_samples_leaf, *tables, roots)
        feature, threshold, missing_left, value = tables
        nodes = slice(0, int(roots[-1]))
        return Trees(roots, feature[nodes], threshold[nodes], missing_left[nodes], value[:found])

    def by_sklearn(
        self,
        bounds: NDArray[np.int64],
        rows: EncodedRows,
        target: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
    ) -> Trees:
        """Grow them with scikit-learn on dense columns.

        Raises:
            MissingExtraError: scikit-learn is not installed.
        """
        grown = []
        for start, end in pairwise(bounds.tolist()):
            part = slice(start, end)
            grown.append(self._one(rows.take(part), target[part], None if weights is None else weights[part]))
        return Trees.join(grown, self.outputs)

    def _one(self, rows: EncodedRows, target: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Trees:
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
        # What forests call: checking the input costs more than a small tree, warns of large numbers, and would only
        # find out where values are missing.
        missing = np.isnan(dense).any(axis=0)
        estimator._fit(
            dense, target, sample_weight=weights, check_input=False,
            missing_values_in_feature_mask=missing if missing.any() else None,
        )  # fmt: skip
        tree = estimator.tree_
        leaf = tree.children_left < 0
        found = tree.value[leaf, 0, :]
        value = found
        if not regression:
            value = np.zeros((len(found), self.outputs))
            value[:, estimator.classes_.astype(np.int64)] = found
        level = ~leaf & (tree.feature < len(seen))
        number = ~leaf & ~level
        # features and levels by their own names, instead of the entity's dense columns
        feature, cut = np.full(len(leaf), LEAF, dtype=np.int16), np.zeros(len(leaf))
        flat = seen[tree.feature[level]]
        category = np.searchsorted(self.layout.offsets, flat, side="right") - 1
        feature[level] = category
        cut[level] = flat - self.layout.offsets[category]
        feature[number] = tree.feature[number] - len(seen) + len(self.layout.offsets) - 1
        cut[number] = tree.threshold[number]
        bounds = np.array([0, len(leaf)], dtype=np.int64)
        return Trees(bounds, feature, cut, tree.missing_go_to_left.astype(bool) & ~leaf, value)
