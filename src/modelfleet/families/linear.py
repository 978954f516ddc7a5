"""The family `linear`: ridge regression per entity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from pydantic import Field

from modelfleet.families.affine import Affine, AffineModels
from modelfleet.families.base import Fitted
from modelfleet.families.design import Layout, Standard
from modelfleet.families.kernels.newton_compiled import linear_kernel
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


LARGEST_GRAM = 2_000
"""Columns above which the equations are left to LAPACK."""


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
        design = ShardDesign.of(self._layout, shard)
        failures = {
            entity: reason for index, entity in enumerate(shard.entities) if (reason := _unusable(shard, index))
        }
        chosen = np.array([index for index, entity in enumerate(shard.entities) if entity not in failures], dtype=int)
        solved = self._solve(design, np.asarray(shard.target, dtype=np.float64), chosen)
        finite = np.isfinite(solved).all(axis=1)
        sizes = np.diff(shard.bounds)
        for unfit in chosen[~finite]:
            failures[shard.entities[unfit]] = (
                f"ridge regression overflows on its {sizes[unfit]} training rows; rescale the target"
            )
        kept, solved = chosen[finite], solved[finite]
        standard = Standard(design.standard.mean[kept], design.standard.scale[kept])
        models = Affine([shard.entities[index] for index in kept], standard, solved[:, None, :-1], solved[:, -1:])
        return Fitted(models.to_table(), {entity: failures[entity] for entity in shard.entities if entity in failures})

    def _solve(
        self, design: ShardDesign, target: NDArray[np.float64], chosen: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return the chosen entities' coefficients, the intercept last (chosen, width + 1)."""
        solved = np.zeros((len(chosen), self._layout.width + 1))
        rows = design.rows_of(chosen)
        middle = np.zeros(len(chosen))
        centred = target.copy()
        for place, (first, last) in enumerate(rows):  # so that a target far from 0 loses no digits
            weights = design.weights[first:last]
            middle[place] = weights @ target[first:last] / weights.sum()
            centred[first:last] -= middle[place]
        done = np.zeros(len(chosen), dtype=bool)
        kernel = linear_kernel("ridge")
        narrow = np.flatnonzero(design.narrow(chosen, LARGEST_GRAM))
        if kernel is not None and len(narrow):
            part, sound = solved[narrow], done[narrow]
            kernel(
                rows[narrow], self._layout.offsets, design.codes, design.numbers, centred, design.weights,
                self._alpha, part, sound,
            )  # fmt: skip
            solved[narrow], done[narrow] = part, sound
        for rest in np.flatnonzero(~done):
            columns, at = design.dense(int(chosen[rest]))
            first, last = rows[rest]
            solved[rest] = 0.0
            solved[rest, at] = ridge(columns, centred[first:last], design.weights[first:last], self._alpha)
        solved[:, -1] += middle
        return solved

    def load(self, models: pa.Table) -> LinearPredictor:
        """Make models ready to predict.

        Raises:
            BundleError: The table is not one this family wrote for this schema.
        """
        return LinearPredictor(AffineModels(models, self._layout, 1, self.name))


def ridge(
    columns: NDArray[np.float64], target: NDArray[np.float64], weights: NDArray[np.float64], strength: float
) -> NDArray[np.float64]:
    """Return the ridge coefficients (d,) of columns (n, d); the last column is 1 and its coefficient is free."""
    share = weights / weights.sum()
    # centring both sides takes the unpenalised intercept out of the equations
    middle, level = share @ columns[:, :-1], float(share @ target)
    centred = columns[:, :-1] - middle
    gram = centred.T @ (centred * weights[:, None]) + strength * np.eye(centred.shape[1])
    right = centred.T @ (weights * (target - level))
    try:
        np.linalg.cholesky(gram)
        solved = np.linalg.solve(gram, right)
    except np.linalg.LinAlgError:  # levels of two categories sum to the same: without much penalty that is singular
        solved = np.linalg.lstsq(gram, right)[0]
    return np.append(solved, level - middle @ solved)


def _unusable(shard: TrainingShard, index: int) -> str | None:
    """Return why an entity's rows cannot be fitted, None where they can."""
    part = slice(int(shard.bounds[index]), int(shard.bounds[index + 1]))
    target = shard.target[part]
    if len(target) == 0:
        return "it has no training rows"
    if not np.isfinite(target).all():
        return f"{int((~np.isfinite(target)).sum())} of its {len(target)} training targets are not finite numbers"
    if shard.weights is not None and not shard.weights[part].sum() > 0:
        return "the weights of its training rows sum to zero"
    return None


class LinearPredictor:
    """Ridge models ready to predict."""

    def __init__(self, models: AffineModels) -> None:
        self._models = models

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return predicted numbers (n, 1)."""
        return self._models.score(rows, model)
