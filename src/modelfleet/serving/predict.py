"""From rows and loaded models to predictions: one prediction or one reason per row, whatever the rows hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.bundles.loaded import ENTITY_MODEL
from modelfleet.data.encode import encode_records
from modelfleet.data.entity import EMPTY, entity_key
from modelfleet.errors import nearest
from modelfleet.serving.request import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.serving.answer import ServedBy
    from modelfleet.serving.loading import LoadedFleet


@dataclass(frozen=True)
class Prediction:
    """A row's prediction.

    Attributes:
        entity: Key of its entity.
        prediction: The class label, or the number for regression.
        score: As in ``Answer``.
        served_by: Whose model answered.
    """

    entity: str
    prediction: str | float
    score: float | None
    served_by: ServedBy


@dataclass(frozen=True)
class Failure:
    """Why a row has no prediction.

    Attributes:
        reason: One sentence: column, value, expected.
        entity: Key of its entity; None where it has none.
    """

    reason: str
    entity: str | None


def predict_rows(fleet: LoadedFleet, rows: Sequence[Mapping[str, Any]]) -> list[Prediction | Failure]:
    """Predict rows, each with its entity's own model or the pooled one. Never raises for data.

    A feature column that is absent fails the row, so that a renamed column is noticed; null, the empty text and the
    fleet's missing markers are missing values. Columns no model knows are ignored.

    Args:
        fleet: The loaded models.
        rows: Column to value, as JSON gives them.

    Returns:
        One result per row, in order.
    """
    results: list[Prediction | Failure | None] = [None] * len(rows)
    entities: list[str] = [EMPTY] * len(rows)
    schema = fleet.any_schema
    for i, row in enumerate(rows):
        try:
            entities[i] = row_entity(row, schema)
        except ValueError as error:
            results[i] = Failure(str(error), None)
    slots = fleet.models.slots_of(entities)
    names, of_row = fleet.models.schemas_of(slots)
    groups: list[list[int]] = [[] for _ in names]
    for i, number in enumerate(of_row.tolist()):
        if results[i] is None and number < 0:
            results[i] = Failure(no_model(entities[i]), entities[i])
        elif results[i] is None:
            groups[number].append(i)
    for name, members in zip(names, groups, strict=True):
        if not members:
            continue
        found = _predict_group(
            fleet, fleet.schemas[name], [rows[i] for i in members], [entities[i] for i in members], slots[members]
        )
        for i, result in zip(members, found, strict=True):
            results[i] = result
    return [result for result in results if result is not None]


def label_and_score(fleet: LoadedFleet, values: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[np.float64] | None]:
    """Return what the models' output means.

    Args:
        fleet: Has the task and the classes.
        values: (n, outputs) float64, finite.

    Returns:
        For classes, (n,) labels and (n,) scores: the probability of the second class for ``binary``, of the
        predicted class for ``multiclass``. For regression, (n,) numbers and None.
    """
    classes = fleet.models.classes
    if not classes:
        return values[:, 0], None
    best, scores = class_and_score(fleet, values)
    return np.asarray(classes, dtype=object)[best], scores


def class_and_score(fleet: LoadedFleet, values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (n,) indices of the predicted classes, and (n,) scores as ``label_and_score`` says."""
    best = values.argmax(axis=1)
    if fleet.any_schema.task == "binary":
        return best, values[:, 1]
    return best, values[np.arange(len(values)), best]


def row_entity(row: Mapping[str, Any], schema: Schema) -> str:
    """Return the key of a row's entity.

    Raises:
        ValueError: It has none; the message is the reason.
    """
    for column in schema.entity:
        if column not in row:
            raise ValueError(f"the row has no column '{column}', which says whose it is{nearest(column, row)}")
        if isinstance(row[column], dict | list):
            raise ValueError(f"column '{column}' is {shown(row[column])}: expected a plain value")
    key = entity_key([row[column] for column in schema.entity], schema.missing)
    if key == EMPTY:
        columns = ", ".join(f"'{column}'" for column in schema.entity)
        raise ValueError(f"the row belongs to no entity: {columns} must not be empty")
    return key


def _predict_group(
    fleet: LoadedFleet,
    schema: Schema,
    rows: Sequence[Mapping[str, Any]],
    entities: Sequence[str],
    slots: NDArray[np.int64],
) -> list[Prediction | Failure]:
    encoded, errors = encode_records(schema, rows)
    for i, row in enumerate(rows):
        nested = next((f.name for f in schema.features if isinstance(row.get(f.name), dict | list)), None)
        if nested is not None:
            errors.setdefault(i, f"column '{nested}' is {shown(row[nested])}: expected a plain value")
    good = np.array([i for i in range(len(rows)) if i not in errors], dtype=np.int64)
    found = iter(_predict_encoded(fleet, encoded.take(good), [entities[i] for i in good], slots[good]))
    return [Failure(errors[i], entities[i]) if i in errors else next(found) for i in range(len(rows))]


def _predict_encoded(
    fleet: LoadedFleet, encoded: EncodedRows, entities: Sequence[str], slots: NDArray[np.int64]
) -> list[Prediction | Failure]:
    if not entities:
        return []
    predicted = predict_encoded(fleet, encoded, slots)
    labels, scores = label_and_score(fleet, predicted.values)
    return [
        Failure(predicted.failures[i], entity)
        if i in predicted.failures
        else Prediction(
            entity,
            _plain(labels[i]),
            None if scores is None else float(scores[i]),
            "entity" if predicted.server[i] == ENTITY_MODEL else "pooled",
        )
        for i, entity in enumerate(entities)
    ]


@dataclass(frozen=True)
class PredictedRows:
    """Predictions of encoded rows.

    Attributes:
        values: (n, outputs) float64, finite; 0 in failed rows.
        server: (n,) int8, which model served the row, as ``modelfleet.bundles.loaded.SERVED_BY`` counts.
        failures: Why a row has no prediction, by position.
    """

    values: NDArray[np.float64]
    server: NDArray[np.int8]
    failures: dict[int, str]


def predict_encoded(fleet: LoadedFleet, encoded: EncodedRows, slots: NDArray[np.int64]) -> PredictedRows:
    """Predict encoded rows; a model that raises or answers nonsense fails its rows and no others.

    Args:
        fleet: The loaded models.
        encoded: n rows, all encoded by the schema their entities' models need.
        slots: (n,) the model of each row, as ``LoadedBundle.slots_of`` returns it.
    """
    predicted = fleet.models.predict_slots(partial(_as_is, encoded), slots, fleet.failing)
    values, failures = predicted.values, dict(predicted.failures)
    if failures:
        values[list(failures)] = 0.0
    return PredictedRows(values, predicted.server, failures)


def no_model(entity: str) -> str:
    """Return why a row of an entity cannot be predicted at all."""
    return f"entity '{entity}' has no model of its own and the fleet has no pooled model"


def _as_is(rows: EncodedRows, _: Schema) -> EncodedRows:
    return rows


def _plain(label: Any) -> str | float:
    return label if isinstance(label, str) else float(label)
