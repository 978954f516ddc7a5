"""Checking a stored XGBoost model, part by part: XGBoost itself follows whatever numbers stand in it, and crashes.

The format: https://xgboost.readthedocs.io/en/stable/tutorials/saving_model.html
"""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

NODE_FLOATS = ("base_weights", "loss_changes", "split_conditions", "sum_hessian")
NODE_WHOLES = ("default_left", "left_children", "parents", "right_children", "split_indices", "split_type")
CATEGORY_LISTS = ("categories", "categories_nodes", "categories_segments", "categories_sizes")
NO_PARENT = 2**31 - 1
LARGEST_CATEGORY = 2**20
"""Far more levels than a category can have; XGBoost makes room for as many bits."""

SCORES = re.compile(r"\[?-?\d(\.\d+)?(E-?\d+)?(,-?\d(\.\d+)?(E-?\d+)?)*\]?")


class XgboostDocument:
    """What a stored model must look like: all but its trees and its base score as in an example of the same shape."""

    def __init__(self, example: bytes) -> None:
        """Take the example apart."""
        document = json.loads(example)
        model = document["learner"]["gradient_booster"]["model"]
        self._features = int(document["learner"]["learner_model_param"]["num_feature"])
        self._per_round = max(int(document["learner"]["learner_model_param"]["num_class"]), 1)
        self._scores = document["learner"]["learner_model_param"]["base_score"].count(",")
        self._tree = {key: type(value) for key, value in model["trees"][0].items()}
        self._tree_param = model["trees"][0]["tree_param"] | {"num_nodes": None}
        self._frame = _without_trees(document)

    def checked(self, blob: bytes) -> bytes:
        """Return the model as XGBoost may load it.

        Raises:
            ValueError: It is not such a model; the message says where.
        """
        try:
            document = json.loads(blob)
            model = document["learner"]["gradient_booster"]["model"]
            trees = list(model["trees"])
            count = len(trees)
            param = document["learner"]["learner_model_param"]
            score, number = param["base_score"], model["gbtree_model_param"]["num_trees"]
            groups, starts = model["tree_info"], model["iteration_indptr"]
            frame = _without_trees(document)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"it is not XGBoost's JSON of a tree model ({error!r:.80})") from None
        if frame != self._frame:
            raise ValueError("version, objective, classes or features are not those of this family and schema")
        if not (isinstance(score, str) and SCORES.fullmatch(score) and score.count(",") == self._scores):
            raise ValueError(f"its base score is {score!r:.80}")
        if number != str(count) or groups != [each % self._per_round for each in range(count)]:
            raise ValueError(f"it says {number!r:.20} trees and holds {count}")
        if starts != list(range(0, count + 1, self._per_round)):
            raise ValueError("its rounds do not hold one tree per class")
        self._check_trees(trees)
        return json.dumps(document).encode()

    def _check_trees(self, trees: list[Any]) -> None:
        """Check all trees of a model at once."""
        sizes = []
        for place, tree in enumerate(trees):
            if not isinstance(tree, dict) or {key: type(value) for key, value in tree.items()} != self._tree:
                raise ValueError(f"the parts of tree {place} are not those of a tree")
            held = len(tree["left_children"])
            if tree["tree_param"] != self._tree_param | {"num_nodes": str(held)} or tree["id"] != place or held == 0:
                raise ValueError(f"tree {place} says {str(tree['tree_param'])[:120]} and holds {held} nodes")
            sizes.append(held)
        nodes = np.array(sizes, dtype=np.int64)
        for key in NODE_FLOATS:
            if not np.isfinite(_joined(trees, key, nodes, {int, float})).all():
                raise ValueError(f"{key} holds a number that is not finite")
        whole = {key: _joined(trees, key, nodes, {int}) for key in NODE_WHOLES}
        size = np.repeat(nodes, nodes)
        position = np.arange(len(size)) - np.repeat(np.cumsum(nodes) - nodes, nodes)
        left, right, parent = whole["left_children"], whole["right_children"], whole["parents"]
        leaf = (left == -1) & (right == -1)
        # children stand after their parent, so a walk always ends
        if not (leaf | ((left > position) & (left < size) & (right > position) & (right < size))).all():
            raise ValueError("its nodes do not form trees")
        inside = (parent >= 0) & ((parent < size) | (parent == NO_PARENT))
        within = (whole["split_indices"] >= 0) & (whole["split_indices"] < self._features)
        if not (inside & within & (whole["split_type"] & ~1 == 0) & (whole["default_left"] & ~1 == 0)).all():
            raise ValueError("a node names a parent, a column or a kind of split that is not there")
        by_level = np.split((whole["split_type"] == 1) & ~leaf, np.cumsum(nodes)[:-1])
        for tree, tests_level in zip(trees, by_level, strict=True):
            if tests_level.any() or any(tree[key] for key in CATEGORY_LISTS):
                _check_categories(tree, np.flatnonzero(tests_level))


def _check_categories(tree: dict[str, Any], wanted: NDArray[np.int64]) -> None:
    level, nodes, start, size = (_joined([tree], key, None, {int}) for key in CATEGORY_LISTS)
    if not np.array_equal(nodes, wanted) or not len(nodes) == len(start) == len(size):
        raise ValueError("the nodes that test categories are not those that have some")
    if not np.array_equal(start, np.cumsum(size) - size) or (size < 1).any() or size.sum() != len(level):
        raise ValueError("the categories of its nodes overlap or are missing")
    if ((level < 0) | (level >= LARGEST_CATEGORY)).any():
        raise ValueError("a category is out of range")


def _without_trees(document: dict[str, Any]) -> dict[str, Any]:
    """Return the parts that all models of a family, a schema and a number of classes share."""
    learner = document["learner"]
    booster = learner["gradient_booster"]
    model = {key: value for key, value in booster["model"].items() if key not in {"trees", "tree_info"}}
    model["gbtree_model_param"] = model["gbtree_model_param"] | {"num_trees": None}
    model["iteration_indptr"] = None
    param = learner["learner_model_param"] | {"base_score": None}
    booster = booster | {"model": model}
    return document | {"learner": learner | {"gradient_booster": booster, "learner_model_param": param}}


def _joined(trees: list[Any], key: str, nodes: NDArray[np.int64] | None, kinds: set[type]) -> NDArray[Any]:
    """Return a list of numbers of each tree as one array.

    Args:
        trees: Trees whose parts are known to be lists.
        key: Which list.
        nodes: (trees,) how long each must be; None where that is checked elsewhere.
        kinds: Types the numbers may have.

    Raises:
        ValueError: One is of another length, or holds something else.
    """
    lists = [tree[key] for tree in trees]
    if nodes is not None and [len(each) for each in lists] != nodes.tolist():
        raise ValueError(f"{key} does not have one entry per node")
    values = list(itertools.chain.from_iterable(lists))
    if not set(map(type, values)) <= kinds:
        raise ValueError(f"{key} holds something that is no number")
    try:
        return np.array(values, dtype=np.float64 if float in kinds else np.int64)
    except OverflowError:
        raise ValueError(f"{key} holds a number that is out of range") from None
