"""Building an ONNX graph node by node, and the parts that the graphs of all families begin and end with.

Operators: https://onnx.ai/onnx/operators/. The input is ``x``, double (rows, features): the categories' codes, then the
numbers, each in the schema's order; the metadata of the model say which is which.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.families.design import FARTHEST, LARGEST
from modelfleet.families.onnx_sessions import onnx_library

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema

INPUT = "x"
OPSETS = {"": 18, "ai.onnx.ml": 3}
IR_VERSION = 8
"""Of the format; the oldest that these operators allow, so that older runtimes read it."""


class Graph:
    """Nodes and constants, in the order they were added."""

    def __init__(self) -> None:
        self._onnx = onnx_library()
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def constant(self, values: object, dtype: object = np.float64) -> str:
        """Add a constant; texts where ``dtype`` is object. Return its name."""
        array = np.asarray(values, dtype=dtype)  # type: ignore[call-overload]
        name = f"constant_{len(self._constants)}"
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", output: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(
            self._onnx.helper.make_node(operator, list(inputs), [name], name, domain=domain, **attributes)
        )
        return name

    def cast(self, value: str, dtype: object) -> str:
        """Add a change of type."""
        return self.node("Cast", value, to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))  # type: ignore[call-overload]

    def include(self, model: Any, value: str, prefix: str) -> list[str]:
        """Add a whole model of one input, fed with a value; return the names of its outputs."""
        from onnx import compose

        model = compose.add_prefix(model, prefix)
        self.node("Identity", value, output=model.graph.input[0].name)
        self._nodes.extend(model.graph.node)
        self._constants.extend(model.graph.initializer)
        return [each.name for each in model.graph.output]

    def pick(self, columns: NDArray[np.integer]) -> str:
        """Add the choice of some of the input's columns (rows, len(columns))."""
        return self.node("Gather", INPUT, self.constant(columns, np.int64), axis=1)

    def levels(self, features: NDArray[np.integer], codes: NDArray[np.integer]) -> str:
        """Add columns (rows, len(codes)), double, that are 1 where a category has a code.

        Args:
            features: Which category each column looks at.
            codes: The code it looks for.
        """
        same = self.node("Equal", self.pick(features), self.constant(np.asarray(codes)[None, :]))
        return self.cast(same, np.float64)

    def clip(self, values: str, largest: float) -> str:
        """Add a limit to both sides that keeps NaN, which ``Clip`` may or may not."""
        limited = self.node("Clip", values, self.constant(-largest), self.constant(largest))
        return self.node("Where", self.node("IsNaN", values), values, limited)

    def numbers(
        self, first: int, fill: NDArray[np.float64], offset: NDArray[np.float64], scale: NDArray[np.float64]
    ) -> str:
        """Add the numbers with missing and infinite ones filled in, then ``(number - offset) / scale``, double.

        Args:
            first: The first number's column in the input.
            fill: (numbers,) what stands in for a missing one; NaN leaves it.
            offset: (numbers,).
            scale: (numbers,).
        """
        values = self.filled(first, fill, LARGEST)
        scaled = self.node("Div", self.node("Sub", values, self.constant(offset)), self.constant(scale))
        return self.clip(scaled, FARTHEST)

    def filled(self, first: int, fill: NDArray[np.float64], largest: float) -> str:
        """Add the numbers, limited, with missing and infinite ones filled in, double."""
        values = self.pick(first + np.arange(len(fill)))
        missing = self.node("Or", self.node("IsNaN", values), self.node("IsInf", values))
        return self.node("Where", missing, self.constant(fill[None, :]), self.clip(values, largest))

    def finish(self, value: str, schema: Schema, family: str, metadata: Mapping[str, str]) -> bytes:
        """End the graph and return the model.

        Args:
            value: (rows, classes) probabilities, or (rows, 1) numbers.
            schema: What the model is for.
            family: Which family wrote it.
            metadata: Stored with the model, besides what its columns and classes are.

        Returns:
            A model with the outputs ``label`` (text) and ``probabilities`` (float), or ``prediction`` (float).
        """
        onnx, helper = self._onnx, self._onnx.helper
        kind = onnx.TensorProto
        name = "probabilities" if schema.classes else "prediction"
        self.node("Cast", value, output=name, to=kind.FLOAT)
        outputs = [helper.make_tensor_value_info(name, kind.FLOAT, ["rows", schema.outputs])]
        if schema.classes:
            largest = self.node("ArgMax", value, axis=1, keepdims=0)
            self.node("Gather", self.constant(list(schema.classes), object), largest, output="label")
            outputs.insert(0, helper.make_tensor_value_info("label", kind.STRING, ["rows"]))
        inputs = [helper.make_tensor_value_info(INPUT, kind.DOUBLE, ["rows", len(schema.features)])]
        graph = helper.make_graph(self._nodes, family, inputs, outputs, self._constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="modelfleet")
        columns = [
            {"name": each.name, "type": str(each.type)} | ({"levels": each.levels} if each.levels is not None else {})
            for each in (*schema.categories, *schema.numbers)
        ]
        described = {"columns": json.dumps(columns), "classes": json.dumps(schema.classes), "target": schema.target}
        helper.set_model_props(model, {**metadata, **described, "family": family})
        onnx.checker.check_model(model)
        data: bytes = model.SerializeToString(deterministic=True)
        return data
