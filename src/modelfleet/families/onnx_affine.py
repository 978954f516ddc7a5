"""A model of the families `logistic` and `linear` as an ONNX graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.columns import fixed
from modelfleet.families.design import Layout
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family
    from modelfleet.families.onnx_graph import Graph


def affine_graph(graph: Graph, family: Family, schema: Schema, model: pa.Table) -> str:
    """Add a weighted sum of level columns and standardised numbers, and what makes probabilities of it."""
    layout = Layout.of(schema)
    outputs = 1 if schema.task is not Task.MULTICLASS else schema.outputs
    mean, scale = (fixed(model, name, layout.numbers, family.name)[0] for name in ("mean", "scale"))
    weights = fixed(model, "coefficients", outputs * layout.width, family.name).reshape(outputs, layout.width)
    intercept = fixed(model, "intercept", outputs, family.name)[0]
    sizes = np.diff(layout.offsets)
    features = np.repeat(np.arange(len(sizes)), sizes)
    codes = np.arange(layout.levels) - np.repeat(layout.offsets[:-1], sizes)
    columns = []
    if layout.levels:
        columns.append(graph.levels(features, codes))
    if layout.numbers:
        columns.append(graph.numbers(len(sizes), mean, mean, scale))
    dense = graph.node("Concat", *columns, axis=1)
    score = graph.node("Gemm", dense, graph.constant(weights.T), graph.constant(intercept))
    if schema.task is Task.REGRESSION:
        return score
    if outputs == 1:
        positive = graph.node("Sigmoid", score)
        return graph.node("Concat", graph.node("Sub", graph.constant(1.0), positive), positive, axis=1)
    return graph.node("Softmax", score, axis=1)
