"""Scoring tables: many rows at once, of any mixture of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.bundles.loaded import SERVED_BY
from modelfleet.data.text import TEXT
from modelfleet.serving.predict import class_and_score
from modelfleet.serving.table_predict import PredictedTable, predict_table

if TYPE_CHECKING:
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
    predicted = predict_table(fleet, table)
    return Scored(_table(fleet, predicted), predicted.failures)


def _table(fleet: LoadedFleet, predicted: PredictedTable) -> pa.Table:
    keys, values, server, failures = predicted.entities, predicted.values, predicted.server, predicted.failures
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
