"""One entity's model as an ONNX file, for whoever wants to use it without modelfleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.errors import InputError, nearest
from modelfleet.families.catalog import make_family
from modelfleet.families.columns import column
from modelfleet.families.onnx_affine import affine_graph
from modelfleet.families.onnx_estimator import estimator_graph
from modelfleet.families.onnx_graph import Graph
from modelfleet.families.onnx_tree import tree_graph

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from modelfleet.data.schema import Schema

GRAPHS = {
    "tree": tree_graph,
    "logistic": affine_graph,
    "linear": affine_graph,
    "sklearn": estimator_graph,
}
"""Families whose models are written as a graph; each function adds one to it and returns its value's name."""


def export_model(
    family: str,
    schema: Schema,
    parameters: Mapping[str, object],
    model: pa.Table,
    metadata: Mapping[str, str] | None = None,
) -> bytes:
    """Return a model as ONNX bytes.

    The input is ``x``, double (rows, features): the categories' codes (0 missing, i + 1 for the schema's level i, -1
    any other), then the numbers (NaN missing). The outputs are ``label`` and ``probabilities``, or ``prediction``, in
    float; they differ from the family's own by the rounding of float32. A model of the family ``onnx`` is returned as
    it was brought.

    Args:
        family: Name of the family that fitted the model.
        schema: The schema its rows are encoded by.
        parameters: The family's parameters.
        model: A table of one model.
        metadata: Stored with the model.

    Raises:
        InputError: The family, or the estimator, has no ONNX form.
        BundleError: The table is not one the family wrote for this schema.
        MissingExtraError: A library of the extra ``onnx`` is not installed.
    """
    made = make_family(family, schema, parameters)
    made.load(model)  # what follows believes the table
    if family == "onnx":
        return bytes(column(model, "model", model.schema.field("model").type, family)[0].as_py())
    if family not in GRAPHS:
        raise InputError(f"a model of family '{family}' cannot be written as ONNX{nearest(family, [*GRAPHS, 'onnx'])}")
    graph = Graph()
    value = GRAPHS[family](graph, made, schema, model)
    return graph.finish(value, schema, family, metadata or {})
