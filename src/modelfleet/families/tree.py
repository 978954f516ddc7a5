"""The family `tree`: one exact CART per entity, for classes and for numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from modelfleet.errors import SpecError, nearest
from modelfleet.families.base import Fitted
from modelfleet.families.design import LARGEST, Layout
from modelfleet.families.growing import Grower
from modelfleet.families.nodes import Trees
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.families.walking import TreePredictor
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard


class TreeParameters(Section):
    """Parameters of the family.

    Attributes:
        max_depth: Largest depth; null means no limit.
        min_samples_leaf: Fewest rows in a leaf. The default keeps shares from being 0 or 1 by chance, which a
            per-row loss punishes.
        class_weight: ``balanced`` lets each class weigh the same in sum; a mapping gives the weight of a row of each
            class it names, the others having 1; absent means each row weighs the same.
    """

    max_depth: int | None = Field(default=8, ge=1, le=10_000)
    min_samples_leaf: int = Field(default=5, ge=1)
    class_weight: Literal["balanced"] | dict[str, Annotated[float, Field(ge=0, le=1e12)]] | None = None


class TreeFamily:
    """Decision trees that test one level of a category (equal or not) or one number (larger or not) per node.

    A missing category is a level of its own; a level the entity's training rows did not have fails every test;
    a missing number goes where training sent missing ones, or with the larger side.
    """

    name: ClassVar[str] = "tree"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters; the seed decides ties between equally good splits.

        Raises:
            SpecError: A parameter is unknown or out of range, or weighs classes where there are none.
        """
        check_task(self.name, self.tasks, schema.task)
        chosen = check_parameters(self.name, TreeParameters, parameters)
        self._schema = schema
        self._layout = Layout.of(schema)
        self._class_weight = chosen.class_weight
        if schema.task is Task.REGRESSION and self._class_weight is not None:
            raise SpecError("model.parameters.class_weight: the fleet's task is regression, which has no classes")
        self._grower = Grower(
            self._layout, schema.task, schema.outputs, chosen.max_depth, chosen.min_samples_leaf, seed
        )

    def fit(self, shard: TrainingShard) -> Fitted:
        """Grow one tree per entity; one whose rows cannot be used is a failure.

        Raises:
            SpecError: A class is given a weight that the target does not have. Only now are all classes known.
            MissingExtraError: There is neither numba nor scikit-learn.
        """
        weights = self._weights(shard)
        failures = _failures(shard, weights)
        entities, bounds, rows, target = list(shard.entities), shard.bounds, shard.rows, shard.target
        if failures:
            usable = np.array([entity not in failures for entity in entities])
            entities = [entity for entity in entities if entity not in failures]
            sizes = np.diff(bounds)
            kept = np.flatnonzero(np.repeat(usable, sizes))
            rows, target, weights = rows.take(kept), target[kept], None if weights is None else weights[kept]
            bounds = np.concatenate([[0], np.cumsum(sizes[usable])]).astype(np.int64)
        trees = self._grower.grow(bounds, rows, target, weights)
        return Fitted(trees.to_table(entities), failures)

    def _weights(self, shard: TrainingShard) -> NDArray[np.float64] | None:
        """Return the weight of each row, its class's included; None where each weighs 1."""
        if self._class_weight is None:
            return shard.weights
        label = shard.target.astype(np.int64)
        if isinstance(self._class_weight, dict):
            classes = self._schema.classes
            for unknown in sorted(self._class_weight.keys() - set(classes)):
                raise SpecError(
                    f"model.parameters.class_weight: the target has no class '{unknown}'{nearest(unknown, classes)}"
                )
            by_class = np.array([self._class_weight.get(name, 1.0) for name in classes])[label]
        else:  # n / (classes * rows of the class), as scikit-learn's "balanced"
            sizes = np.diff(shard.bounds)
            entity = np.repeat(np.arange(len(sizes)), sizes)
            outputs = self._schema.outputs
            count = np.bincount(entity * outputs + label, minlength=len(sizes) * outputs).reshape(-1, outputs)
            by_class = sizes[entity] / ((count > 0).sum(axis=1)[entity] * count[entity, label])
        return by_class if shard.weights is None else shard.weights * by_class

    def load(self, models: pa.Table) -> TreePredictor:
        """Make models ready to predict.

        Raises:
            BundleError: The table is not one this family wrote for this schema, or its nodes do not form trees.
        """
        return TreePredictor(Trees.from_table(models, self._layout, self._schema.outputs), len(self._schema.categories))


def _failures(shard: TrainingShard, weights: NDArray[np.float64] | None) -> dict[str, str]:
    """Return why each entity that cannot be fitted cannot."""

    def per_entity(rows: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.diff(np.concatenate([[0], np.cumsum(rows)])[shard.bounds])

    sizes = np.diff(shard.bounds)
    infinite = per_entity(~np.isfinite(shard.target))
    large = per_entity(np.abs(shard.target) > LARGEST)
    unusable = weightless = np.zeros_like(infinite)
    if weights is not None:
        unusable = per_entity(~((weights >= 0) & (weights <= LARGEST)))
        weightless = per_entity(weights == 0)
    failures = {}
    for e in np.flatnonzero((sizes == 0) | (infinite + large + unusable > 0) | (weightless == sizes)).tolist():
        if sizes[e] == 0:
            reason = "it has no training rows"
        elif infinite[e]:
            reason = f"{infinite[e]} of its {sizes[e]} training targets are not finite numbers"
        elif large[e]:
            reason = f"{large[e]} of its {sizes[e]} training targets are beyond {LARGEST:g} in size"
        elif unusable[e]:
            reason = f"{unusable[e]} of its {sizes[e]} training rows have a weight that is not from 0 to {LARGEST:g}"
        else:
            reason = "the weights of its training rows sum to zero"
        failures[shard.entities[e]] = reason
    return failures
