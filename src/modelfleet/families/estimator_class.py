"""Finding a scikit-learn compatible estimator by its import path, and making it with the user's arguments."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

from modelfleet.errors import MissingExtraError, SpecError, nearest
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PLAIN = (type(None), bool, int, float, str)
"""Types of arguments that estimators can share."""


def find_estimator(path: str, task: Task) -> type[Any]:
    """Return the estimator class of an import path.

    Raises:
        SpecError: It cannot be imported, is not an estimator class, or does another task.
        MissingExtraError: scikit-learn is not installed.
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


def make_estimator(estimator: type[Any], arguments: Mapping[str, Any], seed: int) -> Any:
    """Return the estimator, unfitted.

    Args:
        estimator: Its class.
        arguments: Its own arguments.
        seed: Its ``random_state``, where it has one and the arguments name none.

    Raises:
        SpecError: It does not take these arguments.
    """
    where = f"model.parameters.arguments: {estimator.__name__}"
    known = set(estimator._get_param_names())
    for name in arguments:
        if name not in known:
            raise SpecError(f"{where} has no '{name}'{nearest(str(name), known)}")
    try:
        made = estimator(**arguments)
    except Exception as error:
        raise SpecError(f"{where} cannot be made with {dict(arguments)!r}: {error}") from error
    if "random_state" in known and arguments.get("random_state") is None:
        made.set_params(random_state=seed)
    validate = getattr(made, "_validate_params", None)
    if validate is not None:
        try:
            validate()
        except ValueError as error:
            raise SpecError(f"{where}: {error}") from None
    return made


def copier(estimator: Any) -> Callable[[], Any]:
    """Return a function that returns new unfitted copies of an estimator.

    Where all its arguments are plain values this is its class called with them, as ``sklearn.base.clone`` does in a
    tenth of a small estimator's fit.
    """
    from sklearn.base import clone

    arguments = estimator.get_params(deep=False)
    if all(isinstance(value, PLAIN) for value in arguments.values()):
        return lambda: type(estimator)(**arguments)
    return lambda: clone(estimator)


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
