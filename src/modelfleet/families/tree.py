"""The family `tree`: one exact CART per entity, for classes and for numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from modelfleet.families.base import ENTITY, Fitted
from modelfleet.families.columns import strings
from modelfleet.families.design import Layout, row_weights
from modelfleet.families.growing import Grower, Grown
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.families.walking import TreePredictor
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard


class TreeParameters(Section):
    """Parameters of the family.

    Attributes:
        max_depth: Largest depth; null means no limit.
        min_samples_leaf: Fewest rows in a leaf. The default keeps shares from being 0 or 1 by chance, which a
            per-row loss punishes.
        class_weight: ``balanced`` lets each class weigh the same in sum; absent means each row does.
    """

    max_depth: int | None = Field(default=8, ge=1, le=10_000)
    min_samples_leaf: int = Field(default=5, ge=1)
    class_weight: Literal["balanced"] | None = None


class TreeFamily:
    """Decision trees that test one level of a category (equal or not) or one number (larger or not) per node.

    A missing category is a level of its own; a level the entity's training rows did not have fails every test;
    a missing number goes where training sent missing ones, or with the larger side.
    """

    name: ClassVar[str] = "tree"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters; the seed decides ties between equally good splits."""
        check_task(self.name, self.tasks, schema.task)
        chosen = check_parameters(self.name, TreeParameters, parameters)
        self._schema = schema
        self._balanced = chosen.class_weight == "balanced" and schema.task is not Task.REGRESSION
        self._grower = Grower(
            Layout.of(schema), schema.task, schema.outputs, chosen.max_depth, chosen.min_samples_leaf, seed
        )

    def fit(self, shard: TrainingShard) -> Fitted:
        """Grow one tree per entity; an entity without rows is a failure."""
        failures: dict[str, str] = {}
        grown: dict[int, Grown] = {}
        plain = self._plain(shard)
        if len(plain):
            grown.update(self._grow_together(shard, plain))
        for index, entity in enumerate(shard.entities):
            if index in grown:
                continue
            part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
            target = shard.target[part]
            if len(target) == 0:
                failures[entity] = "it has no training rows"
            elif not np.isfinite(target).all():
                unusable = int((~np.isfinite(target)).sum())
                failures[entity] = f"{unusable} of its {len(target)} training targets are not finite numbers"
            else:
                weights = None if shard.weights is None else shard.weights[part]
                weights = row_weights(target, weights, self._balanced)
                grown[index] = self._grower.by_sklearn(shard.rows.take(part), target, weights)
        fitted = sorted(grown)
        models = to_table(
            [shard.entities[index] for index in fitted], [grown[index] for index in fitted], self._schema.outputs
        )
        return Fitted(models, failures)

    def _plain(self, shard: TrainingShard) -> NDArray[np.int64]:
        """Return the entities the compiled kernel can do: two classes, rows without missing numbers or weights."""
        if self._schema.task is not Task.BINARY or self._balanced or shard.weights is not None:
            return np.empty(0, dtype=np.int64)
        before = np.concatenate([[0], np.cumsum(np.isnan(shard.rows.numbers).any(axis=1))])
        missing = before[shard.bounds[1:]] - before[shard.bounds[:-1]]
        return np.flatnonzero((missing == 0) & (np.diff(shard.bounds) > 0))

    def _grow_together(self, shard: TrainingShard, chosen: NDArray[np.int64]) -> dict[int, Grown]:
        sizes = np.diff(shard.bounds)[chosen]
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        if len(chosen) == len(shard.entities):
            rows, target = shard.rows, shard.target
        else:
            at = np.repeat(shard.bounds[chosen] - bounds[:-1], sizes) + np.arange(bounds[-1])
            rows, target = shard.rows.take(at), shard.target[at]
        trees = self._grower.by_kernel(bounds, rows, target)
        return {} if trees is None else dict(zip(chosen.tolist(), trees, strict=True))

    def load(self, models: pa.Table) -> TreePredictor:
        """Make models ready to predict.

        Raises:
            BundleError: The table is not one this family wrote for this schema, or its nodes do not form trees.
        """
        return TreePredictor(models, len(self._schema.categories), len(self._schema.numbers), self._schema.outputs)


def to_table(entities: Sequence[str], trees: Sequence[Grown], outputs: int) -> pa.Table:
    """Return one row per tree: entity, then its nodes as lists (``value`` flattened)."""
    offsets = np.concatenate([[0], np.cumsum([len(tree.feature) for tree in trees])]).astype(np.int32)

    def lists(name: str, type_: pa.DataType, width: int = 1) -> pa.Array:
        parts = [getattr(tree, name).ravel() for tree in trees]
        values = pa.array(np.concatenate(parts) if parts else [], type_)
        return pa.ListArray.from_arrays(pa.array(offsets * width), values)

    return pa.table(
        {
            ENTITY: strings(entities),
            "feature": lists("feature", pa.int16()),
            "threshold": lists("threshold", pa.float64()),
            "left": lists("left", pa.int32()),
            "right": lists("right", pa.int32()),
            "missing_left": lists("missing_left", pa.bool_()),
            "value": lists("value", pa.float64(), outputs),
        }
    )
