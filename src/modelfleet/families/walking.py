"""Predicting with many trees at once: every row takes one step at a time, all rows in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY
from modelfleet.families.columns import column, ragged
from modelfleet.families.growing import as_float32

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows


class TreePredictor:
    """The trees of a table in one array of nodes, children counted from its start."""

    def __init__(self, models: pa.Table, categories: int, numbers: int, outputs: int) -> None:
        """Take the trees of a table.

        Raises:
            BundleError: A column is missing or of another type, or some nodes do not form a tree: walking them could
                leave the array or never end.
        """
        self._categories = categories
        feature, bounds = ragged(models, "feature", pa.int16(), "tree")
        self._feature = feature.astype(np.int64)
        self._roots = bounds[:-1]
        nodes = len(self._feature)

        def beside(name: str, type_: pa.DataType, width: int = 1) -> NDArray[np.generic]:
            values, other = ragged(models, name, type_, "tree")
            if not np.array_equal(other, bounds * width):
                raise BundleError(f"family 'tree': column '{name}' does not hold {width} value(s) per node")
            return values

        self._threshold = beside("threshold", pa.float64()).astype(np.float64, copy=False)
        left, right = beside("left", pa.int32()).astype(np.int64), beside("right", pa.int32()).astype(np.int64)
        self._missing_left = beside("missing_left", pa.bool_()).astype(bool)
        self._value = beside("value", pa.float64(), outputs).astype(np.float64, copy=False).reshape(nodes, outputs)
        sizes = np.diff(bounds)
        position = np.arange(nodes) - np.repeat(self._roots, sizes)
        size = np.repeat(sizes, sizes)
        inner = self._feature >= 0
        broken = inner & ~((left > position) & (left < size) & (right > position) & (right < size))
        broken |= self._feature >= categories + numbers
        broken |= ~np.isfinite(self._value).all(axis=1)
        wrong = np.flatnonzero(sizes == 0)
        if broken.any():
            wrong = np.searchsorted(bounds, np.flatnonzero(broken), side="right") - 1
        if len(wrong):
            entity = column(models, ENTITY, pa.string(), "tree")[int(wrong[0])].as_py()
            raise BundleError(f"family 'tree': the nodes of entity {entity!r} do not form a tree of this schema")
        start = np.repeat(self._roots, sizes)
        # a leaf is its own child, so rows that have arrived stay where they are
        self._left = np.where(inner, left + start, np.arange(nodes))
        self._right = np.where(inner, right + start, np.arange(nodes))

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return class shares (n, classes), or numbers (n, 1)."""
        features = np.concatenate([rows.codes.astype(np.float32), as_float32(rows.numbers)], axis=1)
        at = self._roots[model]
        moving = np.flatnonzero(self._feature[at] >= 0)
        while len(moving):
            node = at[moving]
            feature, threshold = self._feature[node], self._threshold[node]
            found = features[moving, feature]
            to_left = np.where(
                feature < self._categories,
                found != threshold,
                (found <= threshold) | (np.isnan(found) & self._missing_left[node]),
            )
            node = np.where(to_left, self._left[node], self._right[node])
            at[moving] = node
            moving = moving[self._feature[node] >= 0]
        return self._value[at]
