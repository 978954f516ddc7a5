"""A model of the family `sklearn` as an ONNX graph: the recipe's columns, then the estimator as skl2onnx writes it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.errors import InputError, MissingExtraError
from modelfleet.families.onnx_graph import OPSETS, Graph
from modelfleet.families.recipe import LARGEST_UNSCALED
from modelfleet.families.sklearn import SklearnFamily

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family
    from modelfleet.families.recipe import Learnt


def estimator_graph(graph: Graph, family: Family, schema: Schema, model: pa.Table) -> str:
    """Add the columns an estimator sees and the estimator.

    Raises:
        InputError: skl2onnx cannot write the estimator, or would write one that predicts something else.
    """
    assert isinstance(family, SklearnFamily)
    predictor = family.load(model)
    if predictor.learnt.recipe.impute == "none":
        # seen with trees: the side that training sent missing numbers to is lost
        raise InputError(
            "an estimator that was given missing numbers cannot be written as ONNX: skl2onnx does not say where they "
            "go; train with another model.parameters.impute than none"
        )
    estimator, classes = predictor.estimators[0], predictor.classes[0]
    columns = graph.cast(_columns(graph, predictor.learnt), np.float32)
    converted = _converted(estimator, int(predictor.learnt.widths[0]))
    outputs = graph.include(converted, columns, "estimator_")
    if not schema.classes:
        return graph.node("Reshape", outputs[0], graph.constant([-1, 1], np.int64))
    place = np.zeros((len(classes), schema.outputs), dtype=np.float32)
    place[np.arange(len(classes)), classes] = 1
    if hasattr(estimator, "predict_proba"):
        return graph.node("MatMul", outputs[1], graph.constant(place, np.float32))
    label = graph.node("Reshape", outputs[0], graph.constant([-1, 1], np.int64))
    known = graph.constant(np.arange(schema.outputs)[None, :], np.int64)
    return graph.cast(graph.node("Equal", label, known), np.float32)


def _columns(graph: Graph, learnt: Learnt) -> str:
    recipe = learnt.recipe
    layout = recipe.layout
    rank = learnt.rank[0]
    seen = np.flatnonzero(rank >= 0)
    feature = np.searchsorted(layout.offsets, seen, side="right") - 1
    categories = len(layout.offsets) - 1
    columns = []
    if len(seen):
        levels = graph.levels(feature, seen - layout.offsets[feature])
        if recipe.categories == "ordinal":
            # each level adds its rank plus one to its feature's column, which then says -1 where none was found
            ranks = np.zeros((len(seen), categories))
            ranks[np.arange(len(seen)), feature] = rank[seen] + 1
            levels = graph.node("Sub", graph.node("MatMul", levels, graph.constant(ranks)), graph.constant(1.0))
        columns.append(levels)
    elif recipe.categories == "ordinal" and categories:
        nothing = graph.levels(np.arange(categories), np.full(categories, -2))  # no code is -2
        columns.append(graph.node("Sub", nothing, graph.constant(1.0)))
    if layout.numbers and recipe.numbers == "none":
        columns.append(graph.filled(categories, learnt.fill[0], LARGEST_UNSCALED))
    elif layout.numbers:
        columns.append(graph.numbers(categories, learnt.fill[0], learnt.offset[0], learnt.scale[0]))
    return graph.node("Concat", *columns, axis=1)


def _converted(estimator: Any, width: int) -> Any:
    try:
        import skl2onnx
        from skl2onnx.common.data_types import FloatTensorType
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "onnx") from error
    options = {id(estimator): {"zipmap": False}} if hasattr(estimator, "predict_proba") else None
    types = [("columns", FloatTensorType([None, width]))]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skl2onnx's, about versions of operators
            return skl2onnx.convert_sklearn(estimator, initial_types=types, options=options, target_opset=OPSETS)
    except Exception as error:  # an estimator without a converter, and many other ways
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"skl2onnx cannot write a {type(estimator).__name__}: {first}") from error
