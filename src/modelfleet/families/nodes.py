"""Trees as flat arrays, and the columns they are stored in.

Nodes stand in the order in which scikit-learn numbers them: a node, its left child's tree, its right child's tree.
So which nodes are leaves says which nodes are children of which, no child's position is stored, and no table can hold
a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY
from modelfleet.families.columns import column, ragged, strings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelfleet.families.design import Layout

LEAF = -1


@dataclass(frozen=True)
class Trees:
    """Trees one after the other.

    Attributes:
        bounds: (trees + 1,) int64; nodes ``bounds[t]:bounds[t + 1]`` are tree t's.
        feature: (nodes,) int16: category j, or number of categories + j for number j; -1 for a leaf.
        threshold: (nodes,) float64: the level code tested (equal goes right), or the number (larger goes right;
            infinity where only missing ones do); 0 for a leaf.
        missing_left: (nodes,) bool: whether a missing number goes left.
        value: (leaves, outputs) float64: class shares, or the mean; leaves in the order of their nodes.
    """

    bounds: NDArray[np.int64]
    feature: NDArray[np.int16]
    threshold: NDArray[np.float64]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]

    @classmethod
    def join(cls, trees: Sequence[Trees], outputs: int) -> Trees:
        """Return all the trees as one."""
        nodes = [np.diff(each.bounds) for each in trees]
        return cls(
            np.concatenate([[0], *nodes]).cumsum().astype(np.int64),
            np.concatenate([np.empty(0, np.int16), *(each.feature for each in trees)]),
            np.concatenate([np.empty(0, np.float64), *(each.threshold for each in trees)]),
            np.concatenate([np.empty(0, np.bool_), *(each.missing_left for each in trees)]),
            np.concatenate([np.empty((0, outputs)), *(each.value for each in trees)]),
        )

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def to_table(self, entities: Sequence[str]) -> pa.Table:
        """Return one row per tree: the entity, then lists with an item per node, per inner node or per leaf."""
        inner = self.feature != LEAF
        inner_bounds = (self.bounds - np.arange(len(self.bounds))) // 2  # a tree has one leaf more than inner nodes
        leaf_bounds = (self.bounds - inner_bounds) * self.value.shape[1]
        columns = {
            "feature": _lists(self.bounds, pa.array(self.feature, pa.int16())),
            "threshold": _lists(inner_bounds, pa.array(self.threshold[inner], pa.float64())),
            "missing_left": _lists(inner_bounds, pa.array(self.missing_left[inner], pa.bool_())),
            "value": _lists(leaf_bounds, pa.array(self.value.ravel(), pa.float64())),
        }
        return pa.table({ENTITY: strings(entities), **columns})

    @classmethod
    def from_table(cls, models: pa.Table, layout: Layout, outputs: int) -> Trees:
        """Return the trees of a table, which is not believed.

        Args:
            models: What ``to_table`` returned, or rows of several such tables.
            layout: The columns of the schema.
            outputs: Columns of a leaf's value: classes, or 1 for a number.

        Raises:
            BundleError: A column is missing or of another type or length, or nodes do not form trees of this schema.
        """
        entities = column(models, ENTITY, pa.string(), "tree")
        values, bounds = ragged(models, "feature", pa.int16(), "tree")
        feature = values.astype(np.int16, copy=False)
        inner = feature != LEAF
        leaf = ~inner
        before = np.concatenate([[0], np.cumsum(inner)])[bounds]

        def beside(name: str, type_: pa.DataType, expected: NDArray[np.int64]) -> NDArray[np.generic]:
            values, found = ragged(models, name, type_, "tree")
            if not np.array_equal(found, expected):
                raise BundleError(f"family 'tree': column '{name}' does not hold what column 'feature' calls for")
            return values

        threshold, missing_left = np.zeros(len(feature)), np.zeros(len(feature), np.bool_)
        threshold[inner] = beside("threshold", pa.float64(), before)
        missing_left[inner] = beside("missing_left", pa.bool_(), before)
        value = beside("value", pa.float64(), (bounds - before) * outputs).astype(np.float64, copy=False)
        value = value.reshape(-1, outputs)
        wrong = ~_are_trees(inner, bounds)
        wrong[_owner(bounds, np.flatnonzero(_cannot_test(feature, threshold, layout)))] = True
        good = np.isfinite(value).all(axis=1)
        if outputs > 1:
            good &= (value >= 0).all(axis=1) & (np.abs(value.sum(axis=1) - 1) <= 1e-9)
        wrong[_owner(bounds, np.flatnonzero(leaf)[~good])] = True
        if wrong.any():
            entity = entities[int(np.flatnonzero(wrong)[0])].as_py()
            raise BundleError(f"family 'tree': the nodes of entity {entity!r} do not form a tree of this schema")
        return cls(bounds, feature, threshold, missing_left, value)

    def right(self) -> NDArray[np.int64]:
        """Return each inner node's right child, (nodes,), counted like all nodes; 0 for a leaf.

        Walking the nodes with a counter of children still to come, an inner node adds one and a leaf takes one away.
        The right child is where the counter is next what it was at the node.
        """
        inner = self.feature != LEAF
        counter = _counter(inner, self.bounds)
        most = int(counter.max(initial=0))
        order = np.argsort(counter.astype(np.int16 if most < 2**15 else np.int32), kind="stable")
        following = np.zeros(len(counter), dtype=np.int64)
        following[order[:-1]] = order[1:]
        return np.where(inner, following, 0)


def _lists(bounds: NDArray[np.int64], values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(bounds, pa.int32()), values)


def _counter(inner: NDArray[np.bool_], bounds: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each node how many children were still to come before it, besides itself."""
    steps = np.where(inner, 1, -1)
    before = np.cumsum(steps) - steps
    sizes = np.diff(bounds)
    counter: NDArray[np.int64] = before - np.repeat(before[bounds[:-1][sizes > 0]], sizes[sizes > 0])
    return counter


def _are_trees(inner: NDArray[np.bool_], bounds: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return for each tree whether its nodes form one: all children come, and nothing comes after the last."""
    result = np.diff(bounds) > 0
    counter = _counter(inner, bounds)
    ends = np.zeros(len(inner), np.bool_)
    ends[bounds[1:][result] - 1] = True
    # the last node is a leaf that nothing but itself was to come after, and no node before it was
    wrong = (counter < 0) | (ends != ((counter == 0) & ~inner))
    result[_owner(bounds, np.flatnonzero(wrong))] = False
    return result


def _cannot_test(feature: NDArray[np.int16], threshold: NDArray[np.float64], layout: Layout) -> NDArray[np.bool_]:
    """Return for each node whether it tests a feature or a level that the schema does not have."""
    categories = len(layout.offsets) - 1
    levels = np.full(categories + layout.numbers + 1, np.inf)
    levels[:categories] = np.diff(layout.offsets)
    known = (feature >= LEAF) & (feature < categories + layout.numbers)
    below = levels[np.where(known, feature, LEAF)]
    is_level = np.isfinite(below)
    code = np.where(is_level, threshold, 0.0)
    cannot: NDArray[np.bool_] = ~known | np.isnan(threshold) | (code < 0) | (code >= below) | (code != np.floor(code))
    return cannot


def _owner(bounds: NDArray[np.int64], nodes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the tree of each node."""
    return np.searchsorted(bounds, nodes, side="right") - 1
