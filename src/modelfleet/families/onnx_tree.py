"""A model of the family `tree` as an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.design import Layout
from modelfleet.families.nodes import LEAF, Trees
from modelfleet.families.onnx_graph import INPUT, Graph

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family


def tree_graph(graph: Graph, family: Family, schema: Schema, model: pa.Table) -> str:
    """Add a tree, whose leaves hold a value per class, or one number; return its value's name."""
    trees = Trees.from_table(model, Layout.of(schema), schema.outputs)
    feature, threshold, right = trees.feature.astype(np.int64), trees.threshold, trees.right()
    nodes, inner = len(feature), feature != LEAF
    position = np.arange(nodes)
    category = inner & (feature < len(schema.categories))
    # A level that equals goes right, a number that is not larger goes left; the true branch is the one that is tested
    modes = np.where(category, "BRANCH_EQ", np.where(inner, "BRANCH_LEQ", "LEAF"))
    left = np.where(inner, position + 1, 0)
    leaf, outputs = np.flatnonzero(~inner), schema.outputs
    largest = float(np.finfo(np.float32).max)
    return graph.node(
        "TreeEnsembleRegressor",
        graph.cast(graph.clip(INPUT, largest), np.float32),
        domain="ai.onnx.ml",
        n_targets=outputs,
        nodes_treeids=[0] * nodes,
        nodes_nodeids=position.tolist(),
        nodes_featureids=np.where(inner, feature, 0).tolist(),
        nodes_modes=modes.tolist(),
        nodes_values=_not_above(np.where(category, threshold, np.clip(threshold, -largest, largest))).tolist(),
        nodes_truenodeids=np.where(category, right, left).tolist(),
        nodes_falsenodeids=np.where(category, left, right).tolist(),
        nodes_missing_value_tracks_true=(trees.missing_left & inner & ~category).astype(int).tolist(),
        target_treeids=[0] * (len(leaf) * outputs),
        target_nodeids=np.repeat(leaf, outputs).tolist(),
        target_ids=np.tile(np.arange(outputs), len(leaf)).tolist(),
        target_weights=trees.value.ravel().astype(np.float32).tolist(),
    )


def _not_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each threshold: a float32 number passes both tests or neither."""
    single = threshold.astype(np.float32)
    above = single.astype(np.float64) > threshold
    single[above] = np.nextafter(single[above], np.float32(-np.inf))
    return single
