"""The family `sklearn`: any scikit-learn compatible estimator by its import path, one per entity."""

from __future__ import annotations

import importlib
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa
from pydantic import Field

from modelfleet.errors import BundleError, MissingExtraError, SpecError, nearest
from modelfleet.families import skops_blob
from modelfleet.families.base import ENTITY, Fitted
from modelfleet.families.columns import column, fixed, ragged, strings
from modelfleet.families.design import Layout, Standard, standardised
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard


class SklearnParameters(Section):
    """Parameters of the family.

    Attributes:
        estimator: Import path of the class, such as ``sklearn.ensemble.RandomForestClassifier``.
        parameters: The estimator's own parameters; a ``random_state`` not given is the fleet's seed.
        trusted_types: Full names of types a stored estimator may hold besides those of scikit-learn and numpy.
    """

    estimator: str = Field(min_length=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    trusted_types: tuple[str, ...] = ()


class SklearnFamily:
    """One estimator per entity, on one-hot levels and standardised numbers (a missing number counts as the mean).

    Encoding is done here, so an estimator needs no pipeline. It is stored by skops, never pickled.
    """

    name: ClassVar[str] = "sklearn"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)
    libraries: ClassVar[tuple[str, ...]] = ("scikit-learn", "skops")

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters, the estimator's included.

        Raises:
            SpecError: There is no such estimator, it cannot do the task, or it does not take its parameters.
            MissingExtraError: scikit-learn is not installed.
        """
        check_task(self.name, self.tasks, schema.task)
        chosen = check_parameters(self.name, SklearnParameters, parameters)
        self._schema = schema
        self._layout = Layout.of(schema)
        self._trusted = chosen.trusted_types
        self._estimator = _make(_find(chosen.estimator, schema.task), chosen.parameters, seed)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit a clone of the estimator per entity; whatever it raises makes that entity a failure."""
        from sklearn.base import clone

        kept: dict[str, tuple[bytes, NDArray[np.int64], Standard, NDArray[np.int64]]] = {}
        failures: dict[str, str] = {}
        for index, entity in enumerate(shard.entities):
            part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
            rows, target = shard.rows.take(part), shard.target[part]
            if len(rows) == 0:
                failures[entity] = "it has no training rows"
                continue
            seen, standard = self._layout.seen(rows.codes), Standard.of(rows.numbers)
            estimator = clone(self._estimator)
            label = target if self._schema.task is Task.REGRESSION else target.astype(np.int64)
            arguments = {} if shard.weights is None else {"sample_weight": shard.weights[part]}
            try:
                estimator.fit(standardised(self._layout, rows, seen, standard), label, **arguments)
                blob = skops_blob.dump(estimator)
            except Exception as error:  # an estimator may raise anything for one entity's rows
                first = str(error).strip().partition("\n")[0]
                failures[entity] = f"{type(estimator).__name__} failed on {len(rows)} training rows: {first}"
                continue
            classes = np.asarray(getattr(estimator, "classes_", []), dtype=np.int64)
            kept[entity] = (blob, seen, standard, classes)
        return Fitted(self._to_table(kept), failures)

    def _to_table(self, kept: Mapping[str, tuple[bytes, NDArray[np.int64], Standard, NDArray[np.int64]]]) -> pa.Table:
        rows = list(kept.values())
        floats, ints = pa.list_(pa.float64()), pa.list_(pa.int32())
        return pa.table(
            {
                ENTITY: strings(list(kept)),
                "estimator": pa.array([blob for blob, _, _, _ in rows], pa.large_binary()),
                "levels": pa.array([seen.tolist() for _, seen, _, _ in rows], ints),
                "mean": pa.array([standard.mean.tolist() for _, _, standard, _ in rows], floats),
                "scale": pa.array([standard.scale.tolist() for _, _, standard, _ in rows], floats),
                "classes": pa.array([classes.tolist() for _, _, _, classes in rows], ints),
            }
        )

    def load(self, models: pa.Table) -> SklearnPredictor:
        """Load every estimator now, so that a bad one is found before it serves.

        Raises:
            BundleError: The table is not one this family wrote for this schema, or holds a type that is not trusted.
        """
        return SklearnPredictor(models, self._layout, self._schema, self._trusted)


class SklearnPredictor:
    """Estimators ready to predict."""

    def __init__(self, models: pa.Table, layout: Layout, schema: Schema, trusted: tuple[str, ...]) -> None:
        self._layout = layout
        self._outputs = schema.outputs
        self._regression = schema.task is Task.REGRESSION
        self._entities = column(models, ENTITY, pa.string(), "sklearn").to_pylist()
        self._mean = fixed(models, "mean", layout.numbers, "sklearn")
        self._scale = fixed(models, "scale", layout.numbers, "sklearn")
        self._levels = _per_model(models, "levels", layout.levels)
        self._classes = _per_model(models, "classes", len(schema.classes))
        blobs = column(models, "estimator", pa.large_binary(), "sklearn")
        self._estimators = [
            skops_blob.load(blob.as_py(), trusted, entity) for blob, entity in zip(blobs, self._entities, strict=True)
        ]
        for entity, estimator in zip(self._entities, self._estimators, strict=True):
            if not hasattr(estimator, "predict"):
                raise BundleError(f"what is stored for entity {entity!r} is a {type(estimator).__name__}, no estimator")

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return probabilities (n, classes), or numbers (n, 1); one call per model that occurs."""
        result = np.zeros((len(rows), self._outputs))
        order = np.argsort(model, kind="stable")
        starts = np.flatnonzero(np.diff(model[order], prepend=-1))
        for at in np.split(order, starts[1:]) if len(order) else []:
            result[at] = self._predict_one(rows.take(at), int(model[at[0]]))
        return result

    def _predict_one(self, rows: EncodedRows, model: int) -> NDArray[np.float64]:
        estimator = self._estimators[model]
        standard = Standard(self._mean[model], self._scale[model])
        dense = standardised(self._layout, rows, self._levels[model], standard)
        if self._regression:
            return np.asarray(estimator.predict(dense), dtype=np.float64).reshape(len(rows), 1)
        result = np.zeros((len(rows), self._outputs))
        if hasattr(estimator, "predict_proba"):
            result[:, self._classes[model]] = estimator.predict_proba(dense)
        else:
            result[np.arange(len(rows)), np.asarray(estimator.predict(dense), dtype=np.int64)] = 1.0
        return result


def _per_model(models: pa.Table, name: str, below: int) -> list[NDArray[np.int64]]:
    values, bounds = ragged(models, name, pa.int32(), "sklearn")
    whole = values.astype(np.int64)
    if len(whole) and not 0 <= int(whole.min()) <= int(whole.max()) < below:
        raise BundleError(f"family 'sklearn': column '{name}' holds {int(whole.max())}, expected 0 to {below - 1}")
    return [whole[a:b] for a, b in pairwise(bounds)]


def _find(path: str, task: Task) -> type[Any]:
    """Return the estimator class of an import path.

    Raises:
        SpecError: It cannot be imported, is not an estimator class, or does another task.
    """
    try:
        from sklearn.base import BaseEstimator, is_classifier, is_regressor
    except ModuleNotFoundError as error:
        raise MissingExtraError("scikit-learn", "sklearn") from error
    where = f"model.parameters.estimator: '{path}'"
    module_name, _, name = path.rpartition(".")
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", path):
        raise SpecError(f"{where} is not an import path such as 'sklearn.ensemble.RandomForestClassifier'")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except (ImportError, AttributeError):
        raise SpecError(f"{where} cannot be imported{_nearest_estimator(path)}") from None
    if not (isinstance(found, type) and issubclass(found, BaseEstimator)):
        raise SpecError(f"{where} is not a class derived from sklearn.base.BaseEstimator{_nearest_estimator(path)}")
    if not (hasattr(found, "fit") and hasattr(found, "predict")):
        raise SpecError(f"{where} has no fit and predict, so it cannot be a model{_nearest_estimator(path)}")
    fits = is_regressor if task is Task.REGRESSION else is_classifier
    try:
        able = fits(found())
    except TypeError:  # a meta-estimator needs arguments; what it is shows when it is made
        able = True
    if not able:
        kind = "regressor" if task is Task.REGRESSION else "classifier"
        raise SpecError(f"{where} is no {kind}, which the task '{task}' needs")
    return found


def _make(estimator: type[Any], parameters: Mapping[str, Any], seed: int) -> Any:
    """Return the estimator, unfitted.

    Raises:
        SpecError: It does not take these parameters.
    """
    where = f"model.parameters.parameters: {estimator.__name__}"
    known = set(estimator._get_param_names())
    for name in parameters:
        if name not in known:
            raise SpecError(f"{where} has no '{name}'{nearest(str(name), known)}")
    try:
        made = estimator(**parameters)
    except Exception as error:
        raise SpecError(f"{where} cannot be made with {dict(parameters)!r}: {error}") from error
    if "random_state" in known and parameters.get("random_state") is None:
        made.set_params(random_state=seed)
    validate = getattr(made, "_validate_params", None)
    if validate is not None:
        try:
            validate()
        except ValueError as error:
            raise SpecError(f"{where}: {error}") from None
    return made


def _nearest_estimator(path: str) -> str:
    """Name the public scikit-learn estimator closest to a path that was not found."""
    from sklearn.utils import all_estimators

    paths = {}
    for name, found in all_estimators():
        public = ".".join(part for part in found.__module__.split(".") if not part.startswith("_"))
        paths[name] = f"{public}.{name}"
    exact = paths.get(path.rpartition(".")[2])
    if exact is not None:
        return f"; did you mean '{exact}'?"
    message = nearest(path, paths.values())
    return message if message.startswith("; did you mean") else "; see scikit-learn's list of estimators"
