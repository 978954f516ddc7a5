"""The family `logistic`: L2 regularised logistic regression per entity, for two or more classes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from pydantic import Field

from modelfleet.families.affine import Affine, AffineModels
from modelfleet.families.base import Fitted
from modelfleet.families.design import Layout, Standard
from modelfleet.families.logistic_solver import LogisticSolver, balanced, class_counts
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.families.shard_design import ShardDesign
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
        self._solver = LogisticSolver(1.0 / self._parameters.C, self._parameters.max_iterations, self._outputs)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit one model per entity; an entity whose rows have one class only is a failure."""
        design = ShardDesign.of(self._layout, shard)
        label = shard.target.astype(np.int64)
        count = class_counts(design, label, max(2, self._schema.outputs))
        found = count > 0
        failures = self._without_two_classes(shard, found)
        chosen = np.flatnonzero(found.sum(axis=1) >= 2)
        if self._parameters.class_weight == "balanced":
            design = replace(design, weights=balanced(design, label, count))
        solved, converged = self._solver.solve(design, label, found, chosen)
        steps = self._parameters.max_iterations
        for index in chosen[~converged]:
            failures[shard.entities[index]] = (
                f"logistic regression did not converge in {steps} steps on "
                f"{np.diff(shard.bounds)[index]} training rows; lower C or raise max_iterations"
            )
        kept = chosen[converged]
        standard = Standard(design.standard.mean[kept], design.standard.scale[kept])
        models = Affine(
            [shard.entities[index] for index in kept], standard, solved[converged, :, :-1], solved[converged, :, -1]
        )
        order = {entity: place for place, entity in enumerate(shard.entities)}
        return Fitted(models.to_table(), dict(sorted(failures.items(), key=lambda failure: order[failure[0]])))

    def _without_two_classes(self, shard: TrainingShard, found: NDArray[np.bool_]) -> dict[str, str]:
        failures = {}
        sizes = np.diff(shard.bounds)
        for index in np.flatnonzero(found.sum(axis=1) < 2):
            entity, rows = shard.entities[index], int(sizes[index])
            if rows == 0:
                failures[entity] = "it has no training rows"
            elif not found[index].any():
                failures[entity] = f"the weights of its {rows} training rows are all zero"
            else:
                only = self._schema.classes[int(found[index].argmax())]
                of_weight = "" if shard.weights is None else " of weight above zero"
                failures[entity] = (
                    f"all {rows} training rows{of_weight} are of class '{only}'; logistic regression needs two classes"
                )
        return failures

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
