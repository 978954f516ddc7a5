"""Models that are a weighted sum of the columns: how `logistic` and `linear` store and score them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.families.base import ENTITY
from modelfleet.families.columns import fixed, strings
from modelfleet.families.design import Layout, Standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows


@dataclass(frozen=True)
class Affine:
    """One model.

    Attributes:
        entity: Whose it is.
        standard: How its numbers are standardised.
        coefficients: (outputs, width of the layout); 0 for a level the entity's rows did not have.
        intercept: (outputs,); minus infinity for a class the entity's rows did not have.
    """

    entity: str
    standard: Standard
    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]


def to_table(models: Sequence[Affine], layout: Layout, outputs: int) -> pa.Table:
    """Return one row per model: entity, mean, scale, coefficients (flattened), intercept."""

    def stack(rows: list[NDArray[np.float64]], width: int) -> pa.Array:
        values = np.concatenate([row.ravel() for row in rows]) if rows else np.empty(0)
        offsets = np.arange(len(rows) + 1, dtype=np.int32) * width
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values, pa.float64()))

    return pa.table(
        {
            ENTITY: strings([model.entity for model in models]),
            "mean": stack([model.standard.mean for model in models], layout.numbers),
            "scale": stack([model.standard.scale for model in models], layout.numbers),
            "coefficients": stack([model.coefficients for model in models], outputs * layout.width),
            "intercept": stack([model.intercept for model in models], outputs),
        }
    )


class AffineModels:
    """Many models, ready to score rows."""

    def __init__(self, table: pa.Table, layout: Layout, outputs: int, family: str) -> None:
        """Take the models of a table.

        Raises:
            BundleError: The table is not one that ``to_table`` wrote for this layout.
        """
        models = table.num_rows
        self._layout = layout
        self._standard = Standard(
            fixed(table, "mean", layout.numbers, family), fixed(table, "scale", layout.numbers, family)
        )
        weights = fixed(table, "coefficients", outputs * layout.width, family).reshape(models, outputs, layout.width)
        # the extra column of zeros is where unseen levels look
        self._weights = np.zeros((models, layout.width + 1, outputs))
        self._weights[:, :-1] = weights.transpose(0, 2, 1)
        self._intercept = fixed(table, "intercept", outputs, family)

    def score(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return each row's weighted sums (n, outputs) by its model."""
        layout = self._layout
        total = self._intercept[model].copy()
        for feature, offset in enumerate(layout.offsets[:-1]):
            code = rows.codes[:, feature]
            total += self._weights[model, np.where(code >= 0, code + offset, layout.width)]
        numbers = self._standard.apply(rows.numbers, model)
        for feature in range(layout.numbers):
            total += self._weights[model, layout.levels + feature] * numbers[:, feature, None]
        return total
