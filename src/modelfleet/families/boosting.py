"""What the families of boosted trees share: their columns, the loop over entities, and how models are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY, Fitted
from modelfleet.families.columns import column, ragged, strings
from modelfleet.families.design import bounded
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard

LARGEST = 1e38
"""Numbers beyond it are taken as this large: the libraries compute in float32."""


class Train(Protocol):
    """Fits one entity and returns the library's own bytes for the model."""

    def __call__(
        self,
        columns: NDArray[np.float32],
        target: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        classes: int,
    ) -> bytes:
        """Fit rows (n, columns); ``target`` counts the classes from 0, or holds the numbers where ``classes`` is 0."""
        ...


def tree_columns(rows: EncodedRows) -> NDArray[np.float32]:
    """Return the columns boosted trees see (n, categories + numbers), for a whole shard at once.

    A category is its code ("missing" is 0); a level the schema does not know is NaN, as is a missing number.
    """
    codes = np.where(rows.codes >= 0, rows.codes, np.nan)
    numbers = np.clip(bounded(rows.numbers), -LARGEST, LARGEST)
    return np.concatenate([codes, numbers], axis=1).astype(np.float32)


def fit_each(shard: TrainingShard, schema: Schema, train: Train, library: str, balanced: bool) -> Fitted:
    """Fit one model per entity.

    Args:
        shard: The rows.
        schema: What they were encoded by.
        train: Fits one entity.
        library: For messages.
        balanced: Whether each class of an entity weighs the same in sum.

    Returns:
        Models with the columns ``model`` (the library's bytes) and ``classes`` (indices of the classes the entity's
        rows have; empty for regression). An entity without rows, with one class only, or that the library refuses, is
        a failure.
    """
    columns = tree_columns(shard.rows)
    kept: dict[str, tuple[bytes, NDArray[np.int64]]] = {}
    failures: dict[str, str] = {}
    for index, entity in enumerate(shard.entities):
        part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
        target = shard.target[part]
        weights = None if shard.weights is None else shard.weights[part]
        reason = _unfit(target, schema)
        if reason is not None:
            failures[entity] = reason
            continue
        classes = np.empty(0, dtype=np.int64)
        if schema.task is not Task.REGRESSION:
            found, label = np.unique(target, return_inverse=True)
            classes, target = found.astype(np.int64), label.astype(np.float64)
            weights = _balanced(label, weights) if balanced else weights
        try:
            kept[entity] = (train(columns[part], target, weights, len(classes)), classes)
        except Exception as error:  # the library's own errors share no base
            first = str(error).strip().partition("\n")[0]
            failures[entity] = f"{library} failed on {len(target)} training rows: {first}"
    return Fitted(
        pa.table(
            {
                ENTITY: strings(list(kept)),
                "model": pa.array([blob for blob, _ in kept.values()], pa.large_binary()),
                "classes": pa.array([classes.tolist() for _, classes in kept.values()], pa.list_(pa.int32())),
            }
        ),
        failures,
    )


def _balanced(label: NDArray[np.int64], weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Return weights by which each class weighs the same in sum, and all together what they did."""
    weights = np.ones(len(label)) if weights is None else weights
    total = np.bincount(label, weights=weights)
    of_class: NDArray[np.float64] = weights.sum() / (len(total) * np.where(total > 0, total, 1.0))
    return weights * of_class[label]


def _unfit(target: NDArray[np.float64], schema: Schema) -> str | None:
    if len(target) == 0:
        return "it has no training rows"
    if not np.isfinite(target).all():
        return f"{int((~np.isfinite(target)).sum())} of its {len(target)} training targets are not finite numbers"
    if schema.classes and (target == target[0]).all():
        rows = "1 training row is" if len(target) == 1 else f"{len(target)} training rows are"
        return f"all {rows} of class '{schema.classes[int(target[0])]}'; boosting needs two classes"
    return None


class BoostedPredictor:
    """Boosters ready to predict."""

    def __init__(
        self,
        models: pa.Table,
        schema: Schema,
        family: str,
        load: Callable[[bytes, int], Callable[[NDArray[np.float32]], NDArray[np.floating]]],
    ) -> None:
        """Load every model now, so that a bad one is found before it serves.

        Args:
            models: A table that ``fit_each`` made.
            schema: What rows are encoded by.
            family: The family's name, for messages.
            load: Returns what a model's bytes predict for columns, (n,) or (n, classes); raises ValueError for bytes
                that are not a model of the schema's width and of so many classes.

        Raises:
            BundleError: The table is not one that the family wrote for this schema.
        """
        self._outputs = schema.outputs
        self._regression = schema.task is Task.REGRESSION
        values, bounds = ragged(models, "classes", pa.int32(), family)
        classes = values.astype(np.int64)
        entities = column(models, ENTITY, pa.string(), family).to_pylist()
        blobs = column(models, "model", pa.large_binary(), family)
        self._classes: list[NDArray[np.int64]] = []
        self._models = []
        for index, (entity, blob) in enumerate(zip(entities, blobs, strict=True)):
            own = classes[bounds[index] : bounds[index + 1]]
            fits = len(own) == 0 if self._regression else len(own) >= 2 and own[0] >= 0
            if not (fits and (np.diff(own) > 0).all() and (len(own) == 0 or own[-1] < len(schema.classes))):
                raise BundleError(
                    f"family '{family}': entity {entity!r} has the classes {own.tolist()}, "
                    f"expected some of {len(schema.classes)}"
                )
            try:
                self._models.append(load(blob.as_py(), len(own)))
            except ValueError as error:
                raise BundleError(
                    f"family '{family}': the model of entity {entity!r} cannot be loaded: {error}"
                ) from error
            self._classes.append(own)

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return probabilities (n, classes), or numbers (n, 1); one call per model that occurs."""
        result = np.zeros((len(rows), self._outputs))
        columns = tree_columns(rows)
        order = np.argsort(model, kind="stable")
        starts = np.flatnonzero(np.diff(model[order], prepend=-1))
        for at in np.split(order, starts[1:]) if len(order) else []:
            which = int(model[at[0]])
            values = np.asarray(self._models[which](columns[at]), dtype=np.float64)
            if self._regression:
                result[at, 0] = values
                continue
            if values.ndim == 1:  # of two classes, the second one's
                values = np.column_stack([1.0 - values, values])
            # the libraries' float32 leaves sums 1e-7 away from 1
            result[np.ix_(at, self._classes[which])] = values / values.sum(axis=1, keepdims=True)
        return result
