"""Models that are a weighted sum of the columns: how `logistic` and `linear` store and score them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.families.base import ENTITY
from modelfleet.families.columns import fixed, lists, strings
from modelfleet.families.design import Layout, Standard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows


@dataclass(frozen=True)
class Affine:
    """The models of some entities.

    Attributes:
        entities: Whose they are, M of them.
        standard: How each one's numbers are standardised, (M, numbers).
        coefficients: (M, outputs, width of the layout); 0 for a level the entity's rows did not have.
        intercept: (M, outputs); minus infinity for a class the entity's rows did not have.
    """

    entities: Sequence[str]
    standard: Standard
    coefficients: NDArray[np.float64]
    intercept: NDArray[np.float64]

    def to_table(self) -> pa.Table:
        """Return one row per model: entity, mean, scale, coefficients (flattened), intercept."""
        return pa.table(
            {
                ENTITY: strings(self.entities),
                "mean": lists(self.standard.mean),
                "scale": lists(self.standard.scale),
                "coefficients": lists(self.coefficients),
                "intercept": lists(self.intercept),
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
