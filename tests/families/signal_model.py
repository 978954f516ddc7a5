"""An ONNX model for tests that bring one."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def signal_model(classes, sign):
    """Return a model of the signal that ``make_shard`` draws targets from.

    It takes the columns of every schema of this suite: the number of columns says how many are categories.
    """
    nodes, constants = [], []

    def constant(value, dtype=np.float64):
        constants.append(numpy_helper.from_array(np.asarray(value, dtype), f"k{len(constants)}"))
        return constants[-1].name

    def node(operator, *inputs, **attributes):
        nodes.append(helper.make_node(operator, list(inputs), [f"v{len(nodes)}"], **attributes))
        return nodes[-1].output[0]

    width = node("Gather", node("Shape", "x"), constant(1, np.int64))
    categories = node("Gather", constant([0, 1, 0, 0, 0, 2], np.int64), width)
    column = node("Range", constant(0, np.int64), width, constant(1, np.int64))
    known = node("Clip", node("Where", node("IsNaN", "x"), constant(0.0), "x"), constant(-1e3), constant(1e3))
    level = node("Sub", node("Mod", known, constant(3.0), fmod=1), constant(1.0))
    number = node("Where", node("Equal", column, categories), node("Mul", known, constant(sign)), constant(0.0))
    terms = node("Where", node("Less", column, categories), level, number)
    score = node("ReduceSum", terms, constant([1], np.int64), keepdims=1)
    if classes == 2:
        score = node("Concat", node("Neg", score), score, axis=1)
    elif classes:
        score = node("Concat", node("Neg", score), node("Sub", constant(0.5), node("Abs", score)), score, axis=1)
    result = node("Softmax", score, axis=1) if classes else score
    nodes.append(helper.make_node("Identity", [result], ["y"]))
    graph = helper.make_graph(
        nodes,
        "signal",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", "features"])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", max(classes, 1)])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return model
