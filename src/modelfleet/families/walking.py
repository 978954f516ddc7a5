"""Predicting with many trees at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.growing import as_float32
from modelfleet.families.kernels import compiled
from modelfleet.families.kernels.walking import NODE
from modelfleet.families.nodes import LEAF

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.families.nodes import Trees

CHUNK = 65_536
"""Rows walked together without numba: what is kept of them stays in the processor's cache."""


class TreePredictor:
    """Trees ready to predict: all nodes in one array."""

    def __init__(self, trees: Trees, categories: int) -> None:
        self._categories = categories
        self._roots = trees.bounds[:-1].copy()
        self._value = np.ascontiguousarray(trees.value)
        self._nodes = np.zeros(len(trees.feature), dtype=NODE)
        self._nodes["feature"] = trees.feature
        self._nodes["threshold"] = trees.threshold
        self._nodes["missing_left"] = trees.missing_left
        right = trees.right()
        leaf = trees.feature == LEAF
        right[leaf] = np.arange(len(self._value))
        self._nodes["right"] = right

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return class shares (n, classes), or numbers (n, 1)."""
        walk = compiled.tree_walk()
        if walk is None:
            chunks = range(0, len(rows), CHUNK)
            parts = [self._leaves(rows.take(slice(at, at + CHUNK)), model[at : at + CHUNK]) for at in chunks]
            leaf = np.concatenate([np.empty(0, np.int32), *parts])
        else:
            leaf = np.empty(len(rows), dtype=np.int32)
            codes, numbers = np.ascontiguousarray(rows.codes), np.ascontiguousarray(rows.numbers)
            walk(self._nodes, self._roots, codes, numbers, np.ascontiguousarray(model), leaf)
        return self._value.take(leaf, axis=0)

    def _leaves(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return each row's leaf: every row takes one step at a time, all rows in step, until it has arrived."""
        features = np.concatenate([rows.codes.astype(np.float32), as_float32(rows.numbers)], axis=1)
        width = features.shape[1]
        features = features.ravel()
        leaf = np.empty(len(rows), dtype=np.int32)
        row = np.arange(len(rows))
        at = self._roots[model]
        while len(at):
            node = self._nodes.take(at)
            feature = node["feature"]
            arrived = feature < 0
            if arrived.any():
                leaf[row[arrived]] = node["right"][arrived]
                moving = np.flatnonzero(~arrived)
                row, at, node, feature = row[moving], at[moving], node[moving], feature[moving]
            found = features.take(row * width + feature)
            threshold = node["threshold"]
            to_left = np.where(
                feature < self._categories,
                found != threshold,
                (found <= threshold) | (np.isnan(found) & node["missing_left"]),
            )
            at = np.where(to_left, at + 1, node["right"])
        return leaf
