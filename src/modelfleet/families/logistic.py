"""The family `logistic`: L2 regularised logistic regression per entity, for two or more classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from modelfleet.families.affine import Affine, AffineModels, to_table
from modelfleet.families.base import Fitted
from modelfleet.families.design import Layout, Standard, row_weights, standardised
from modelfleet.families.newton import solve
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard


class LogisticParameters(Section):
    """Parameters of the family.

    Attributes:
        C: Inverse of the regularisation strength, as scikit-learn's.
        class_weight: ``balanced`` lets each class weigh the same in sum; absent means each row does.
        max_iterations: Newton steps after which a fit counts as failed.
    """

    C: float = Field(default=1.0, gt=0, le=1e12, allow_inf_nan=False)
    class_weight: Literal["balanced"] | None = None
    max_iterations: int = Field(default=100, ge=1)


class LogisticFamily:
    """Logistic regression on one-hot levels and standardised numbers; a missing number counts as the mean.

    Levels are those the entity's training rows have ("missing" is one of them); any other adds nothing.
    """

    name: ClassVar[str] = "logistic"
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.BINARY, Task.MULTICLASS})

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters; the fit draws nothing at random, so the seed changes nothing."""
        check_task(self.name, self.tasks, schema.task)
        self._parameters = check_parameters(self.name, LogisticParameters, parameters)
        self._schema = schema
        self._layout = Layout.of(schema)
        self._outputs = 1 if schema.outputs == 2 else schema.outputs

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit one model per entity; an entity whose rows have one class only is a failure."""
        models: list[Affine] = []
        failures: dict[str, str] = {}
        for index, entity in enumerate(shard.entities):
            part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
            weights = None if shard.weights is None else shard.weights[part]
            outcome = self._fit_one(entity, shard.rows.take(part), shard.target[part].astype(np.int64), weights)
            if isinstance(outcome, str):
                failures[entity] = outcome
            else:
                models.append(outcome)
        return Fitted(to_table(models, self._layout, self._outputs), failures)

    def _fit_one(
        self, entity: str, rows: EncodedRows, target: NDArray[np.int64], weights: NDArray[np.float64] | None
    ) -> Affine | str:
        found, label = np.unique(target, return_inverse=True)
        if len(found) == 0:
            return "it has no training rows"
        if len(found) == 1:
            only = self._schema.classes[int(found[0])]
            return f"all {len(rows)} training rows are of class '{only}'; logistic regression needs two classes"
        weights = row_weights(target.astype(np.float64), weights, self._parameters.class_weight == "balanced")
        standard = Standard.of(rows.numbers)
        seen = self._layout.seen(rows.codes)
        dense = standardised(self._layout, rows, seen, standard)
        try:
            solved, converged = solve(
                dense, label, len(found), 1.0 / self._parameters.C, weights, self._parameters.max_iterations
            )
        except np.linalg.LinAlgError as error:
            return f"logistic regression has no solution on its {len(rows)} training rows: {error}"
        if not (converged and np.isfinite(solved).all()):
            return (
                f"logistic regression did not converge in {self._parameters.max_iterations} steps "
                f"on {len(rows)} training rows; lower C or raise max_iterations"
            )
        return self._place(entity, standard, seen, found, solved)

    def _place(
        self,
        entity: str,
        standard: Standard,
        seen: NDArray[np.int64],
        found: NDArray[np.int64],
        solved: NDArray[np.float64],
    ) -> Affine:
        """Spread the solution over all levels and classes; a class not found gets an intercept of minus infinity."""
        layout = self._layout
        columns = np.concatenate([seen, np.arange(layout.levels, layout.width)])
        coefficients = np.zeros((self._outputs, layout.width))
        intercept = np.full(self._outputs, -np.inf)
        if self._outputs > 1 and len(found) == 2:
            intercept[found[0]] = 0.0  # the first class is what the second is measured against
        into = found[1:] if len(solved) == 1 else found
        into = np.zeros(1, dtype=np.int64) if self._outputs == 1 else into
        coefficients[np.ix_(into, columns)] = solved[:, :-1]
        intercept[into] = solved[:, -1]
        return Affine(entity, standard, coefficients, intercept)

    def load(self, models: pa.Table) -> LogisticPredictor:
        """Make models ready to predict.

        Raises:
            BundleError: The table is not one this family wrote for this schema.
        """
        return LogisticPredictor(AffineModels(models, self._layout, self._outputs, self.name))


class LogisticPredictor:
    """Logistic models ready to predict."""

    def __init__(self, models: AffineModels) -> None:
        self._models = models

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return probabilities (n, classes)."""
        score = self._models.score(rows, model)
        if score.shape[1] == 1:
            # tanh does not overflow, whatever the score
            positive = 0.5 * (1.0 + np.tanh(0.5 * score[:, 0]))
            return np.column_stack([1.0 - positive, positive])
        score -= score.max(axis=1, keepdims=True)
        odds = np.exp(score)
        probabilities: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return probabilities
