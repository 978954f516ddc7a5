"""The family `xgboost`: a few boosted trees per entity, by XGBoost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from modelfleet.errors import MissingExtraError
from modelfleet.families.boosting import BoostedPredictor, fit_each
from modelfleet.families.one_thread import one_thread
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.families.xgboost_json import XgboostDocument
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Fitted, TrainingShard


class XgboostParameters(Section):
    """Parameters of the family.

    Attributes:
        rounds: Boosting rounds: trees for two classes or numbers, times the classes for more.
        max_depth: Largest depth of a tree.
        learning_rate: What each tree's values are multiplied by.
        min_child_weight: Smallest sum of second derivatives in a leaf; for numbers, its fewest rows.
        reg_lambda: L2 regularisation of the leaves' values.
        subsample: Share of the rows each tree is grown on, drawn by the fleet's seed.
        colsample: Share of the columns each tree is grown on, drawn by the fleet's seed.
        max_bin: Most bins a number is divided into.
        categories: ``native``: splits between sets of levels. ``ordinal``: a level is its rank, as if a number;
            faster, and enough where the order means something.
        class_weight: ``balanced`` lets each class weigh the same in sum; absent means each row does.
    """

    rounds: int = Field(default=10, ge=1, le=10_000)
    max_depth: int = Field(default=4, ge=1, le=32)
    learning_rate: float = Field(default=0.3, gt=0, le=1, allow_inf_nan=False)
    min_child_weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    reg_lambda: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    subsample: float = Field(default=1.0, gt=0, le=1)
    colsample: float = Field(default=1.0, gt=0, le=1)
    max_bin: int = Field(default=256, ge=2, le=65_536)
    categories: Literal["native", "ordinal"] = "native"
    class_weight: Literal["balanced"] | None = None


class XgboostFamily:
    """Boosted trees by histogram, one thread per fit, missing numbers as XGBoost takes them.

    A model is stored as XGBoost's own JSON. It is checked before XGBoost sees it, which crashes on a damaged one.
    """

    name: ClassVar[str] = "xgboost"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters.

        Raises:
            SpecError: A parameter is unknown or out of range.
            MissingExtraError: XGBoost is not installed.
        """
        check_task(self.name, self.tasks, schema.task)
        chosen = check_parameters(self.name, XgboostParameters, parameters)
        self._library = _library()
        self._schema = schema
        self._balanced = chosen.class_weight == "balanced"
        self._rounds = chosen.rounds
        kind = "c" if chosen.categories == "native" else "q"
        self._types = [kind] * len(schema.categories) + ["q"] * len(schema.numbers)
        self._parameters = {
            "tree_method": "hist",
            "nthread": 1,
            "verbosity": 0,
            "seed": seed,
            "max_depth": chosen.max_depth,
            "eta": chosen.learning_rate,
            "min_child_weight": chosen.min_child_weight,
            "lambda": chosen.reg_lambda,
            "subsample": chosen.subsample,
            "colsample_bytree": chosen.colsample,
            "max_bin": chosen.max_bin,
        }
        self._documents: dict[int, XgboostDocument] = {}

    @property
    def libraries(self) -> tuple[str, ...]:
        """The distribution that XGBoost is installed by here."""
        return (_distribution(),)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit one booster per entity; see ``fit_each`` for what is a failure."""
        with one_thread(self.name):
            return fit_each(shard, self._schema, self._train, "XGBoost", self._balanced)

    def _train(
        self,
        columns: NDArray[np.float32],
        target: NDArray[np.float64],
        weights: NDArray[np.float64] | None,
        classes: int,
    ) -> bytes:
        objective: dict[str, Any] = {"objective": "reg:squarederror"}
        if classes == 2:
            objective = {"objective": "binary:logistic"}
        elif classes:
            objective = {"objective": "multi:softprob", "num_class": classes}
        data = self._library.DMatrix(
            columns, label=target, weight=weights, feature_types=self._types, enable_categorical=True, nthread=1
        )
        booster = self._library.train(self._parameters | objective, data, self._rounds)
        return bytes(booster.save_raw("json"))

    def load(self, models: pa.Table) -> BoostedPredictor:
        """Make models ready to predict.

        Raises:
            BundleError: The table is not one this family wrote for this schema, or a model is damaged.
        """
        with one_thread(self.name):  # reading ten trees by several threads takes twenty times as long
            return BoostedPredictor(models, self._schema, self.name, self._load_one)

    def _load_one(self, blob: bytes, classes: int) -> Callable[[NDArray[np.float32]], NDArray[np.floating]]:
        if classes not in self._documents:
            self._documents[classes] = XgboostDocument(self._example(classes))
        checked = self._documents[classes].checked(blob)
        booster = self._library.Booster({"nthread": 1, "verbosity": 0})
        try:
            booster.load_model(bytearray(checked))
        except self._library.core.XGBoostError as error:
            raise ValueError(str(error).partition("\n")[0]) from error

        def predict(columns: NDArray[np.float32]) -> NDArray[np.floating]:
            found: NDArray[np.floating] = booster.inplace_predict(columns, validate_features=False)
            return found

        return predict

    def _example(self, classes: int) -> bytes:
        """Return a small model of the same shape as the stored ones."""
        rows = max(classes, 2)
        columns = np.zeros((rows, len(self._types)), dtype=np.float32)
        target = np.arange(rows, dtype=np.float64)
        return self._train(columns, target, None, classes)


def _library() -> Any:
    try:
        import xgboost
    except ModuleNotFoundError as error:
        raise MissingExtraError(str(error.name), "xgboost") from error
    return xgboost


def _distribution() -> str:
    """Return which of XGBoost's two packages is installed: the full one, or the one without GPU support."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("xgboost")
    except PackageNotFoundError:
        return "xgboost-cpu"
    return "xgboost"
