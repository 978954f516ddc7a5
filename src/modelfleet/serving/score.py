"""Scoring tables: many rows at once, of any mixture of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.loaded import SERVED_BY
from modelfleet.data.encode import encode_raw_table
from modelfleet.data.entity import table_entities
from modelfleet.data.text import TEXT
from modelfleet.serving.predict import class_and_score, no_model, predict_encoded

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

    Texts are dictionaries: each distinct one is stored once.

    ``row`` is the row's position, ``entity`` its key, ``prediction`` the class label (text) or the number, ``score``
    as in ``Answer`` (null for regression), ``probabilities`` one field per class (not for regression),
    ``generation`` the release that computed it (0: a bundle that was not released), ``served_by`` ``entity`` or
    ``pooled``.
    """
    classes = fleet.models.classes
    fields = [
        pa.field("row", pa.int64()),
        pa.field("entity", TEXT),
        pa.field("prediction", TEXT if classes else pa.float64()),
        pa.field("score", pa.float64()),
        pa.field("generation", pa.int64()),
        pa.field("served_by", TEXT),
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
    n, models = len(table), fleet.models
    # One more slot, of no model: that of rows which belong to no entity
    slots = np.append(models.slots_of(keys.dictionary.to_pylist()), 0)
    codes = pc.fill_null(keys.indices, len(slots) - 1).to_numpy(zero_copy_only=False)
    slots = slots[codes]
    names, of_row = models.schemas_of(slots)
    for i in np.flatnonzero(of_row < 0).tolist():
        failures[i] = _unserved(fleet, keys[i].as_py())
    values = np.zeros((n, max(len(models.classes), 1)))
    server = np.zeros(n, dtype=np.int8)
    for number, name in enumerate(names):
        members = np.flatnonzero(of_row == number)
        if not len(members):
            continue
        part = table if len(members) == n else table.take(pa.array(members))
        encoded, errors = encode_raw_table(fleet.schemas[name], part)
        rows = members
        if errors:
            failures |= {int(members[position]): reason for position, reason in errors.items()}
            good = np.delete(np.arange(len(members)), list(errors))
            encoded, rows = encoded.take(good), members[good]
        predicted = predict_encoded(fleet, encoded, slots[rows])
        values[rows] = predicted.values
        server[rows] = predicted.server
        failures |= {int(rows[position]): reason for position, reason in predicted.failures.items()}
    return Scored(_table(fleet, keys, values, server, failures), failures)


def _unserved(fleet: LoadedFleet, entity: str | None) -> str:
    if entity is not None:
        return no_model(entity)
    columns = ", ".join(f"'{column}'" for column in fleet.any_schema.entity)
    return f"the row belongs to no entity: {columns} must not be empty"


def _table(
    fleet: LoadedFleet,
    keys: pa.DictionaryArray,
    values: NDArray[np.float64],
    server: NDArray[np.int8],
    failures: dict[int, str],
) -> pa.Table:
    good = np.arange(len(keys))
    if failures:
        good = np.delete(good, list(failures))
        keys, values, server = keys.take(pa.array(good)), values[good], server[good]
    schema = prediction_schema(fleet)
    columns = {
        "row": pa.array(good, pa.int64()),
        "entity": keys,
        "score": pa.nulls(len(good), pa.float64()),
        "generation": pa.array(np.full(len(good), fleet.generation, dtype=np.int64)),
        "served_by": pa.DictionaryArray.from_arrays(pa.array(server.astype(np.int32)), list(SERVED_BY)),
    }
    classes = fleet.models.classes
    if classes:
        best, scores = class_and_score(fleet, values)
        columns["prediction"] = pa.DictionaryArray.from_arrays(pa.array(best.astype(np.int32)), list(classes))
        columns["score"] = pa.array(np.ascontiguousarray(scores))
        fields = list(schema.field("probabilities").type)
        parts = [pa.array(np.ascontiguousarray(values[:, k])) for k in range(len(fields))]
        columns["probabilities"] = pa.StructArray.from_arrays(parts, fields=fields)
    else:
        columns["prediction"] = pa.array(values[:, 0])
    return pa.table([columns[name] for name in schema.names], schema=schema)
