"""The family `linear`: ridge regression per entity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from modelfleet.families.affine import Affine, AffineModels, to_table
from modelfleet.families.base import Fitted
from modelfleet.families.design import Layout, Standard, standardised
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


class LinearParameters(Section):
    """Parameters of the family.

    Attributes:
        alpha: Regularisation strength, as scikit-learn's Ridge.
    """

    alpha: float = Field(default=1.0, gt=0, le=1e12, allow_inf_nan=False)


class LinearFamily:
    """Ridge regression on one-hot levels and standardised numbers; a missing number counts as the mean.

    Levels are those the entity's training rows have ("missing" is one of them); any other adds nothing.
    """

    name: ClassVar[str] = "linear"
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.REGRESSION})

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters; the fit draws nothing at random, so the seed changes nothing."""
        check_task(self.name, self.tasks, schema.task)
        self._alpha = check_parameters(self.name, LinearParameters, parameters).alpha
        self._layout = Layout.of(schema)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit one model per entity."""
        models: list[Affine] = []
        failures: dict[str, str] = {}
        for index, entity in enumerate(shard.entities):
            part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
            weights = None if shard.weights is None else shard.weights[part]
            outcome = self._fit_one(entity, shard.rows.take(part), shard.target[part], weights)
            if isinstance(outcome, str):
                failures[entity] = outcome
            else:
                models.append(outcome)
        return Fitted(to_table(models, self._layout, 1), failures)

    def _fit_one(
        self, entity: str, rows: EncodedRows, target: NDArray[np.float64], weights: NDArray[np.float64] | None
    ) -> Affine | str:
        if len(rows) == 0:
            return "it has no training rows"
        if not np.isfinite(target).all():
            return f"{int((~np.isfinite(target)).sum())} of its {len(target)} training targets are not finite numbers"
        layout = self._layout
        weight = np.ones(len(rows)) if weights is None else weights
        if weight.sum() <= 0:
            return "the weights of its training rows sum to zero"
        share = weight / weight.sum()
        standard = Standard.of(rows.numbers)
        seen = layout.seen(rows.codes)
        dense = standardised(layout, rows, seen, standard)
        # centring both sides takes the unpenalised intercept out of the equations
        middle, level = share @ dense, float(share @ target)
        centred = dense - middle
        try:
            solved = np.linalg.solve(
                centred.T @ (centred * weight[:, None]) + self._alpha * np.eye(dense.shape[1]),
                centred.T @ (weight * (target - level)),
            )
        except np.linalg.LinAlgError as error:
            return f"ridge regression has no solution on its {len(rows)} training rows: {error}; raise alpha"
        if not np.isfinite(solved).all():
            return f"ridge regression overflows on its {len(rows)} training rows; rescale the target"
        coefficients = np.zeros((1, layout.width))
        coefficients[0, np.concatenate([seen, np.arange(layout.levels, layout.width)])] = solved
        return Affine(entity, standard, coefficients, np.array([level - middle @ solved]))

    def load(self, models: pa.Table) -> LinearPredictor:
        """Make models ready to predict.

        Raises:
            BundleError: The table is not one this family wrote for this schema.
        """
        return LinearPredictor(AffineModels(models, self._layout, 1, self.name))


class LinearPredictor:
    """Ridge models ready to predict."""

    def __init__(self, models: AffineModels) -> None:
        self._models = models

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return predicted numbers (n, 1)."""
        return self._models.score(rows, model)
