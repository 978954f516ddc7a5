"""From a table and loaded models to predictions: from arrays to arrays, whatever the number of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.data.encode import encode_raw_table
from modelfleet.data.entity import table_entities
from modelfleet.serving.predict import no_model, predict_encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.serving.loading import LoadedFleet


@dataclass(frozen=True)
class PredictedTable:
    """What became of a table's n rows.

    Attributes:
        entities: (n,) keys of type ``TEXT``; null where a row belongs to no entity.
        values: (n, outputs) float64, what the models answered; 0 in failed rows.
        server: (n,) int8, which model served the row, as ``modelfleet.bundles.loaded.SERVED_BY`` counts.
        failures: Why a row has no prediction, by position.
        unasked: The positions of those whose row itself is wrong, so that no model was asked.
    """

    entities: pa.DictionaryArray
    values: NDArray[np.float64]
    server: NDArray[np.int8]
    failures: dict[int, str]
    unasked: frozenset[int]


def predict_table(fleet: LoadedFleet, table: pa.Table) -> PredictedTable:
    """Predict every row of a table; a bad row costs no other.

    Args:
        fleet: The loaded models.
        table: n rows with the entity columns and every feature column; numbers may be texts.

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
    unasked = set(failures)
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
            found = {int(members[position]): reason for position, reason in errors.items()}
            failures |= found
            unasked |= found.keys()
            good = np.delete(np.arange(len(members)), list(errors))
            encoded, rows = encoded.take(good), members[good]
        predicted = predict_encoded(fleet, encoded, slots[rows])
        values[rows] = predicted.values
        server[rows] = predicted.server
        failures |= {int(rows[position]): reason for position, reason in predicted.failures.items()}
    return PredictedTable(keys, values, server, failures, frozenset(unasked))


def _unserved(fleet: LoadedFleet, entity: str | None) -> str:
    if entity is not None:
        return no_model(entity)
    columns = ", ".join(f"'{column}'" for column in fleet.any_schema.entity)
    return f"the row belongs to no entity: {columns} must not be empty"
