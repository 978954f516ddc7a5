"""A model of the family `tree` as an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.families.columns import ragged
from modelfleet.families.onnx_graph import INPUT, Graph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family

LEAF = -1


def tree_graph(graph: Graph, family: Family, schema: Schema, model: pa.Table) -> str:
    """Add a tree, whose leaves hold a value per class, or one number; return its value's name."""
    feature = ragged(model, "feature", pa.int16(), "tree")[0].astype(np.int64)
    nodes, inner = len(feature), feature != LEAF
    threshold = _spread(model, "threshold", pa.float64(), inner)
    missing_left = _spread(model, "missing_left", pa.bool_(), inner)
    value = _spread(model, "value", pa.float64(), ~inner, schema.outputs)
    right = _right(inner)
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
        nodes_missing_value_tracks_true=(missing_left.astype(bool) & inner & ~category).astype(int).tolist(),
        target_treeids=[0] * (len(leaf) * outputs),
        target_nodeids=np.repeat(leaf, outputs).tolist(),
        target_ids=np.tile(np.arange(outputs), len(leaf)).tolist(),
        target_weights=value[leaf].ravel().astype(np.float32).tolist(),
    )


def _spread(
    model: pa.Table, name: str, type_: pa.DataType, where: NDArray[np.bool_], width: int = 1
) -> NDArray[np.generic]:
    """Return a column per node, whether it is stored for every node or only for those that have use for it."""
    values, _ = ragged(model, name, type_, "tree")
    values = values.reshape(-1, width) if width > 1 or name == "value" else values
    if len(values) == len(where):
        return values
    spread = np.zeros((len(where), *values.shape[1:]), dtype=values.dtype)
    spread[where] = values
    return spread


def _right(inner: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return each inner node's right child; nodes stand in the order node, left child's tree, right child's tree."""
    right = np.zeros(len(inner), dtype=np.int64)
    waiting: list[int] = []  # nodes whose left tree is being walked
    for node in range(len(inner)):
        if node and not inner[node - 1]:
            right[waiting.pop()] = node
        if inner[node]:
            waiting.append(node)
    return right


def _not_above(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 that is not above each threshold: a float32 number passes both tests or neither."""
    single = threshold.astype(np.float32)
    above = single.astype(np.float64) > threshold
    single[above] = np.nextafter(single[above], np.float32(-np.inf))
    return single
