"""The extension point: a family fits and predicts many entities at once.

An installed package adds one by an entry point in the group ``modelfleet.families`` that names a class
following ``Family``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.spec.fleet import Task

ENTITY = "entity"
"""Name of the first column of every table of models."""


@dataclass(frozen=True)
class TrainingShard:
    """The training rows of some entities, encoded, entity after entity.

    Attributes:
        entities: E entity keys.
        bounds: (E + 1,) int64, ascending from 0 to n; rows ``bounds[e]:bounds[e + 1]`` are entity e's.
        rows: The n encoded rows.
        target: (n,) float64: the class index (0.0, 1.0, ...), or the number to predict. Never NaN.
        weights: (n,) float64 row weights; None means 1 for every row.
    """

    entities: tuple[str, ...]
    bounds: NDArray[np.int64]
    rows: EncodedRows
    target: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Fitted:
    """What a family made of a shard.

    Attributes:
        models: One row per fitted entity, in the shard's order; first column ``entity`` (string), the others
            are the family's own. Everything needed to predict is in the row.
        failures: For each entity that could not be fitted, one sentence saying why.
    """

    models: pa.Table
    failures: Mapping[str, str] = field(default_factory=dict)


class Predictor(Protocol):
    """Models made ready to predict."""

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Predict each row with one of the models.

        Args:
            rows: n encoded rows.
            model: (n,) int32, the position of each row's model in the table the predictor was made from.

        Returns:
            (n, number of classes) probabilities that sum to 1, or (n, 1) numbers.
        """
        ...


@runtime_checkable
class Family(Protocol):
    """A way to fit and predict many entities at once.

    Attributes:
        name: The name a spec uses.
        tasks: The tasks it can do.
    """

    name: ClassVar[str]
    tasks: ClassVar[frozenset[Task]]

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters.

        Raises:
            SpecError: A parameter is unknown or out of range, or the family cannot do the schema's task.
        """
        ...

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit one model per entity. Never raises for the data of one entity: that is a failure in the result."""
        ...

    def load(self, models: pa.Table) -> Predictor:
        """Make models ready to predict. Runs nothing that the table contains.

        Raises:
            BundleError: The table is not one this family wrote, or holds what it does not trust.
        """
        ...
