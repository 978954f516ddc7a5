"""The family `sklearn`: any scikit-learn compatible estimator by its import path, one per entity."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from modelfleet.errors import BundleError
from modelfleet.families import skops_blob
from modelfleet.families.base import ENTITY, Fitted
from modelfleet.families.columns import column, fixed, ragged, strings
from modelfleet.families.design import Layout
from modelfleet.families.estimator_class import copier, find_estimator, make_estimator
from modelfleet.families.one_thread import one_thread
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.families.recipe import Learnt, Recipe
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard


STORED_TOGETHER = 64
"""Estimators fitted before they are turned into bytes. Done in turns, the two push each other out of the caches."""


class SklearnParameters(Section):
    """Parameters of the family.

    Attributes:
        estimator: Import path of the class, such as ``sklearn.ensemble.RandomForestClassifier``.
        arguments: The estimator's own arguments; a ``random_state`` not given is the fleet's seed.
        categories: ``onehot``: one column per level the entity's training rows have; any other level is all zero.
            ``ordinal``: one column per category, the level's rank; any other level is -1.
        numbers: ``standard`` (mean 0, standard deviation 1), ``minmax`` (0 to 1), or ``none``: as they are.
        impute: What stands in for a missing number before it is scaled: the entity's ``mean`` or ``median``, a
            ``constant``, or ``none`` for estimators that take missing values. A missing category is a level.
        fill_value: The constant of ``impute: constant``.
        trusted_types: Full names of types a stored estimator may hold besides those of scikit-learn and numpy.
    """

    estimator: str = Field(min_length=1)
    arguments: dict[str, Any] = Field(default_factory=dict)
    categories: Literal["onehot", "ordinal"] = "onehot"
    numbers: Literal["none", "standard", "minmax"] = "standard"
    impute: Literal["mean", "median", "constant", "none"] = "mean"
    fill_value: float = Field(default=0.0, allow_inf_nan=False)
    trusted_types: tuple[str, ...] = ()


class SklearnFamily:
    """One estimator per entity, as at the end of a scikit-learn Pipeline that encodes, imputes and scales.

    What comes before the estimator is done for a whole shard at once (``Recipe``), with equal results. An estimator
    is stored by skops, never pickled.
    """

    name: ClassVar[str] = "sklearn"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)
    libraries: ClassVar[tuple[str, ...]] = ("scikit-learn", "skops")

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters, the estimator's included.

        Raises:
            SpecError: There is no such estimator, it cannot do the task, or it does not take its arguments.
            MissingExtraError: scikit-learn is not installed.
        """
        check_task(self.name, self.tasks, schema.task)
        chosen = check_parameters(self.name, SklearnParameters, parameters)
        self._schema = schema
        self._recipe = Recipe(Layout.of(schema), chosen.categories, chosen.impute, chosen.fill_value, chosen.numbers)
        self._trusted = chosen.trusted_types
        self._estimator = make_estimator(find_estimator(chosen.estimator, schema.task), chosen.arguments, seed)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit a copy of the estimator per entity; whatever it raises makes that entity a failure."""
        import sklearn

        learnt = self._recipe.learn(shard.rows, shard.bounds)
        fit_one = self._fit_one()
        fitted: dict[int, Any] = {}
        kept: dict[int, tuple[bytes, NDArray[np.int64]]] = {}
        failures: dict[str, str] = {}
        # What these two spare is checked already: the arguments once for the fleet, and the columns, which are made
        # here, are finite unless missing numbers were left in them
        checked = sklearn.config_context(assume_finite=self._recipe.impute != "none", skip_parameter_validation=True)
        dtype = np.float32 if self._is_tree() else np.float64
        matrices = learnt.matrices(shard.rows, shard.bounds, np.arange(len(shard.entities)), dtype)
        with one_thread(self.name), checked:
            for index, (entity, dense) in enumerate(zip(shard.entities, matrices, strict=True)):
                part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
                weights = None if shard.weights is None else shard.weights[part]
                outcome = fit_one(dense, shard.target[part], weights)
                if isinstance(outcome, str):
                    failures[entity] = outcome
                else:
                    fitted[index] = outcome
                if len(fitted) == STORED_TOGETHER:
                    kept |= self._stored(shard, fitted, failures)
                    fitted.clear()
            kept |= self._stored(shard, fitted, failures)
        return Fitted(self._to_table(shard.entities, learnt, kept), failures)

    def _stored(
        self, shard: TrainingShard, fitted: Mapping[int, Any], failures: dict[str, str]
    ) -> dict[int, tuple[bytes, NDArray[np.int64]]]:
        """Return the bytes and the classes of fitted estimators; what cannot be stored becomes a failure."""
        kept = {}
        for index, estimator in fitted.items():
            try:
                blob = skops_blob.dump(estimator)
            except TypeError as error:
                rows = int(shard.bounds[index + 1] - shard.bounds[index])
                failures[shard.entities[index]] = self._failed(rows, error)
                continue
            kept[index] = (blob, np.asarray(getattr(estimator, "classes_", []), dtype=np.int64))
        return kept

    def _failed(self, rows: int, error: Exception) -> str:
        first = str(error).strip().partition("\n")[0]
        return f"{type(self._estimator).__name__} failed on {rows} training rows: {first}"

    def _is_tree(self) -> bool:
        from sklearn.tree import BaseDecisionTree

        return isinstance(self._estimator, BaseDecisionTree)

    def _fit_one(self) -> Callable[[NDArray[np.floating], NDArray[np.float64], NDArray[np.float64] | None], Any]:
        """Return what fits one copy on columns, target and weights, or returns why it could not."""
        copy = copier(self._estimator)
        regression = self._schema.task is Task.REGRESSION
        # a tree's check of its input takes as long as growing a small one, and finds only missing values
        spared = {"check_input": False} if self._is_tree() and self._recipe.impute != "none" else {}

        def fit(dense: NDArray[np.floating], target: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Any:
            if len(target) == 0:
                return "it has no training rows"
            if not np.isfinite(target).all():
                unusable = int((~np.isfinite(target)).sum())
                return f"{unusable} of its {len(target)} training targets are not finite numbers"
            label = target if regression else target.astype(np.int64)
            weighted = {} if weights is None else {"sample_weight": weights}
            try:
                return copy().fit(dense, label, **weighted, **spared)
            except Exception as error:  # an estimator may raise anything for one entity's rows
                return self._failed(len(target), error)

        return fit

    def _to_table(
        self, entities: Sequence[str], learnt: Learnt, kept: Mapping[int, tuple[bytes, NDArray[np.int64]]]
    ) -> pa.Table:
        at = list(kept)
        floats, ints = pa.list_(pa.float64()), pa.list_(pa.int32())
        levels = [np.flatnonzero(learnt.rank[index] >= 0).tolist() for index in at]
        return pa.table(
            {
                ENTITY: strings([entities[index] for index in at]),
                "estimator": pa.array([blob for blob, _ in kept.values()], pa.large_binary()),
                "levels": pa.array(levels, ints),
                "fill": pa.array(learnt.fill[at].tolist(), floats),
                "offset": pa.array(learnt.offset[at].tolist(), floats),
                "scale": pa.array(learnt.scale[at].tolist(), floats),
                "classes": pa.array([classes.tolist() for _, classes in kept.values()], ints),
            }
        )

    def load(self, models: pa.Table) -> SklearnPredictor:
        """Load every estimator now, so that a bad one is found before it serves.

        Raises:
            BundleError: The table is not one this family wrote for this schema, or holds a type that is not trusted.
        """
        return SklearnPredictor(models, self._recipe, self._schema, self._trusted)


class SklearnPredictor:
    """Estimators ready to predict."""

    def __init__(self, models: pa.Table, recipe: Recipe, schema: Schema, trusted: tuple[str, ...]) -> None:
        """Take the models of a table; see ``SklearnFamily.load``."""
        layout = recipe.layout
        self._outputs = schema.outputs
        self._regression = schema.task is Task.REGRESSION
        seen = np.zeros((models.num_rows, layout.levels), dtype=bool)
        for model, levels in enumerate(_per_model(models, "levels", layout.levels)):
            seen[model, levels] = True
        self.learnt = Learnt(
            recipe,
            recipe.ranks(seen),
            fixed(models, "fill", layout.numbers, "sklearn"),
            fixed(models, "offset", layout.numbers, "sklearn"),
            fixed(models, "scale", layout.numbers, "sklearn"),
        )
        self.classes = _per_model(models, "classes", len(schema.classes))
        entities = column(models, ENTITY, pa.string(), "sklearn").to_pylist()
        blobs = column(models, "estimator", pa.large_binary(), "sklearn")
        self.estimators = skops_blob.load_all((blob.as_py() for blob in blobs), trusted, entities)
        for entity, estimator in zip(entities, self.estimators, strict=True):
            if not hasattr(estimator, "predict"):
                raise BundleError(f"what is stored for entity {entity!r} is a {type(estimator).__name__}, no estimator")

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return probabilities (n, classes), or numbers (n, 1); one call per model that occurs."""
        import sklearn

        result = np.zeros((len(rows), self._outputs))
        order = np.argsort(model, kind="stable")
        ordered = model[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1))
        bounds = np.append(starts, len(rows))
        matrices = self.learnt.matrices(rows.take(order), bounds, ordered[starts])
        with sklearn.config_context(assume_finite=self.learnt.recipe.impute != "none"):
            for (first, last), which, dense in zip(pairwise(bounds), ordered[starts], matrices, strict=True):
                result[order[first:last]] = self._predict_one(dense, int(which))
        return result

    def _predict_one(self, dense: NDArray[np.floating], model: int) -> NDArray[np.float64]:
        estimator = self.estimators[model]
        if self._regression:
            return np.asarray(estimator.predict(dense), dtype=np.float64).reshape(len(dense), 1)
        result = np.zeros((len(dense), self._outputs))
        if hasattr(estimator, "predict_proba"):
            result[:, self.classes[model]] = estimator.predict_proba(dense)
        else:
            result[np.arange(len(dense)), np.asarray(estimator.predict(dense), dtype=np.int64)] = 1.0
        return result


def _per_model(models: pa.Table, name: str, below: int) -> list[NDArray[np.int64]]:
    values, bounds = ragged(models, name, pa.int32(), "sklearn")
    whole = values.astype(np.int64)
    if len(whole) and not 0 <= int(whole.min()) <= int(whole.max()) < below:
        raise BundleError(f"family 'sklearn': column '{name}' holds {int(whole.max())}, expected 0 to {below - 1}")
    return [whole[a:b] for a, b in pairwise(bounds)]
