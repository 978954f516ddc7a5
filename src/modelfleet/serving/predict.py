"""From rows and loaded models to predictions: one outcome or one reason per row, whatever the rows hold."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.data.encode import encode_records
from modelfleet.data.entity import entity_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.serving.answer import ServedBy
    from modelfleet.serving.loading import LoadedFleet

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
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


def predict_rows(fleet: LoadedFleet, rows: Sequence[Mapping[str, Any]]) -> list[Outcome | Failure]:
    """Predict rows, each with its entity's own model or the pooled one. Never raises for data.

    A feature column that is absent fails the row, so that a renamed column is noticed; null is a missing value.
    Columns no model knows are ignored.

    Args:
        fleet: The loaded models.
        rows: Column to value, as JSON gives them.

    Returns:
        One result per row, in order.
    """
    results: list[Outcome | Failure | None] = [None] * len(rows)
    groups: dict[str, list[int]] = {}
    entities: list[str] = [""] * len(rows)
    key_columns = fleet.any_schema.entity
    for i, row in enumerate(rows):
        try:
            entities[i] = _entity(row, key_columns)
        except ValueError as error:
            results[i] = Failure(str(error), None)
            continue
        fingerprint = fleet.fingerprint_for(entities[i])
        if fingerprint is None:
            results[i] = _no_model(entities[i])
        else:
            groups.setdefault(fingerprint, []).append(i)
    for fingerprint, members in groups.items():
        schema = fleet.schemas[fingerprint]
        outcomes = _predict_group(fleet, schema, [rows[i] for i in members], [entities[i] for i in members])
        for i, outcome in zip(members, outcomes, strict=True):
            results[i] = outcome
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
    best = values.argmax(axis=1)
    labels = np.asarray(classes, dtype=object)[best]
    binary = fleet.any_schema.task == "binary"
    return labels, values[:, 1] if binary else values[np.arange(len(values)), best]


def _entity(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    for column in columns:
        if column not in row:
            raise ValueError(f"entity column '{column}' is missing from the row")
        if isinstance(row[column], dict | list):
            raise ValueError(f"entity column '{column}' must be a plain value, but is a {type(row[column]).__name__}")
    return entity_key([row[column] for column in columns])


def _no_model(entity: str) -> Failure:
    return Failure(f"entity '{entity}' has no model of its own and the fleet has no pooled model", entity)


def _predict_group(
    fleet: LoadedFleet, schema: Schema, rows: Sequence[Mapping[str, Any]], entities: Sequence[str]
) -> list[Outcome | Failure]:
    results: dict[int, Outcome | Failure] = {}
    names = [feature.name for feature in schema.features]
    for i, row in enumerate(rows):
        absent = [name for name in names if name not in row]
        if absent:
            listed = ", ".join(f"'{name}'" for name in absent)
            results[i] = Failure(f"missing from the row: {listed}; send null where there is no value", entities[i])
    whole = [i for i in range(len(rows)) if i not in results]
    encoded, errors = encode_records(schema, [rows[i] for i in whole])
    for position, reason in errors.items():
        results[whole[position]] = Failure(reason, entities[whole[position]])
    good = np.array([position for position in range(len(whole)) if position not in errors], dtype=np.int64)
    chosen = [whole[position] for position in good]
    outcomes = _predict_encoded(fleet, encoded.take(good), [entities[i] for i in chosen])
    results.update(zip(chosen, outcomes, strict=True))
    return [results[i] for i in range(len(rows))]


def _predict_encoded(fleet: LoadedFleet, encoded: EncodedRows, entities: Sequence[str]) -> list[Outcome | Failure]:
    if not entities:
        return []
    try:
        predicted = fleet.models.predict_encoded(lambda _: encoded, entities)
    except Exception as error:  # a family's code may raise anything; one row must not take the others with it
        if len(entities) == 1:
            return [Failure(f"the model failed: {type(error).__name__}: {error}", entities[0])]
        logger.warning("a batch of %d rows failed and is predicted row by row: %s", len(entities), error)
        one_by_one = (
            _predict_encoded(fleet, encoded.take(np.array([i])), [entity]) for i, entity in enumerate(entities)
        )
        return [result for results in one_by_one for result in results]
    values = predicted.values
    finite = np.isfinite(values).all(axis=1)
    labels, scores = label_and_score(fleet, np.where(finite[:, None], values, 0.0))
    return [
        _no_model(entity)
        if served_by == "none"
        else Failure(f"the model's prediction is not finite: {value.tolist()}", entity)
        if not usable
        else Outcome(entity, _plain(label), None if scores is None else float(scores[i]), served_by)
        for i, (entity, served_by, value, usable, label) in enumerate(
            zip(entities, predicted.served_by.tolist(), values, finite, labels, strict=True)
        )
    ]


def _plain(label: Any) -> str | float:
    return label if isinstance(label, str) else float(label)
