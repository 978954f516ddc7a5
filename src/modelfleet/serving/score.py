"""Scoring tables: many rows at once, of any mixture of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.data.encode import encode_raw_table
from modelfleet.data.entity import table_entities
from modelfleet.serving.predict import label_and_score, no_model, predict_encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.serving.loading import LoadedFleet


@dataclass(frozen=True)
class Scored:
    """What became of a table's rows; each is in one of the two.

    Attributes:
        predictions: Columns as ``prediction_schema`` says, in the rows' order.
        failures: Why a row has no prediction, by its position in the table.
    """

    predictions: pa.Table
    failures: dict[int, str]


def prediction_schema(fleet: LoadedFleet) -> pa.Schema:
    """Return the columns of scored rows.

    ``row`` is the row's position, ``entity`` its key, ``prediction`` the class label (text) or the number, ``score``
    as in ``Answer`` (null for regression), ``probabilities`` one field per class (not for regression),
    ``generation`` the release that computed it (0: a bundle that was not released), ``served_by`` ``entity`` or
    ``pooled``.
    """
    classes = fleet.models.classes
    fields = [
        pa.field("row", pa.int64()),
        pa.field("entity", pa.string()),
        pa.field("prediction", pa.string() if classes else pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("generation", pa.int64()),
        pa.field("served_by", pa.string()),
    ]
    if classes:
        fields.insert(4, pa.field("probabilities", pa.struct([pa.field(name, pa.float64()) for name in classes])))
    return pa.schema(fields)


def score_table(fleet: LoadedFleet, table: pa.Table) -> Scored:
    """Predict every row of a table.

    Args:
        fleet: The loaded models.
        table: n rows with the entity columns and every feature column, as read from a file; numbers may be texts.

    Returns:
        The predictions, and the reasons of the rows that have none.

    Raises:
        DataError: A column the models need is not there.
    """
    keys = table_entities(fleet.any_schema, table)
    failures: dict[int, str] = {}
    values = np.zeros((len(table), max(len(fleet.models.classes), 1)))
    served_by = np.full(len(table), "none", dtype=object)
    for fingerprint, members in _by_schema(fleet, keys, failures):
        part = table if len(members) == len(table) else table.take(pa.array(members))
        encoded, errors = encode_raw_table(fleet.schemas[fingerprint], part)
        failures |= {int(members[position]): reason for position, reason in errors.items()}
        good = np.delete(np.arange(len(members)), list(errors))
        rows = members[good]
        if errors:
            encoded = encoded.take(good)
        predicted = predict_encoded(fleet, encoded, keys.take(pa.array(rows)).to_pylist())
        values[rows] = predicted.values
        served_by[rows] = predicted.served_by
        failures |= {int(rows[position]): reason for position, reason in predicted.failures.items()}
    return Scored(_table(fleet, keys, values, served_by, failures), failures)


def _by_schema(
    fleet: LoadedFleet, keys: pa.DictionaryArray, failures: dict[int, str]
) -> list[tuple[str, NDArray[np.int64]]]:
    """Return which rows need which schema, noting those that belong to no entity or have no model."""
    distinct: list[str] = keys.dictionary.to_pylist()
    fingerprints = [fleet.models.schema_for(entity) for entity in distinct]
    names = sorted({name for name in fingerprints if name is not None})
    number = {name: i for i, name in enumerate(names)}
    of_entity = np.array([-1 if f is None else number[f] for f in fingerprints] + [-2], dtype=np.int64)
    indices = pc.fill_null(keys.indices, len(distinct)).to_numpy(zero_copy_only=False)
    of_row = of_entity[indices]
    for i in np.flatnonzero(of_row < 0).tolist():
        columns = ", ".join(f"'{column}'" for column in fleet.any_schema.entity)
        empty = f"the row belongs to no entity: {columns} must not be empty"
        failures[i] = empty if of_row[i] == -2 else no_model(distinct[indices[i]])
    return [(name, np.flatnonzero(of_row == i)) for name, i in number.items()]


def _table(
    fleet: LoadedFleet,
    keys: pa.DictionaryArray,
    values: NDArray[np.float64],
    served_by: NDArray[np.object_],
    failures: dict[int, str],
) -> pa.Table:
    good = np.delete(np.arange(len(keys)), list(failures)) if failures else np.arange(len(keys))
    values = values[good]
    labels, scores = label_and_score(fleet, values)
    schema = prediction_schema(fleet)
    columns = {
        "row": pa.array(good, pa.int64()),
        "entity": keys.take(pa.array(good)).cast(pa.string()),
        "prediction": pa.array(labels, schema.field("prediction").type),
        "score": pa.nulls(len(good), pa.float64()) if scores is None else pa.array(scores),
        "generation": pa.array(np.full(len(good), fleet.generation, dtype=np.int64)),
        "served_by": pa.array(served_by[good], pa.string()),
    }
    if fleet.models.classes:
        fields = list(schema.field("probabilities").type)
        parts = [pa.array(np.ascontiguousarray(values[:, k])) for k in range(len(fields))]
        columns["probabilities"] = pa.StructArray.from_arrays(parts, fields=fields)
    return pa.table([columns[name] for name in schema.names], schema=schema)
