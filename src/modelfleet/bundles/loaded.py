"""A bundle in memory, ready to predict rows of any mixture of entities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.libraries import check_libraries
from modelfleet.errors import BundleError, MissingExtraError, SpecError
from modelfleet.families.base import ENTITY
from modelfleet.families.catalog import make_family

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from modelfleet.bundles.format import ShardFile
    from modelfleet.bundles.reader import Bundle
    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Predictor

SERVED_BY = np.array(["none", "entity", "pooled"], dtype=object)
"""Which model answered a row, by the codes used inside."""


@dataclass(frozen=True)
class Predicted:
    """Predictions of some rows, in the rows' order.

    Attributes:
        values: (n, number of classes) probabilities in the order of ``LoadedBundle.classes``, or (n, 1) numbers;
            NaN where no model serves the row.
        served_by: (n,) objects: ``entity``, ``pooled`` or ``none``.
    """

    values: NDArray[np.float64]
    served_by: NDArray[np.object_]


@dataclass(frozen=True)
class _LoadedFile:
    file: ShardFile
    schema: Schema
    predictor: Predictor
    entities: pa.ChunkedArray
    columns: NDArray[np.int64]  # which columns of the bundle's predictions this file's outputs are


class LoadedBundle:
    """All models of a bundle in memory.

    Attributes:
        bundle: What was loaded.
        classes: Class labels, the columns of a prediction; empty for regression. Where schemas of the bundle know
            different classes, their union; a model gives 0 to a class it does not know.
        reused: Number of files taken over from another loaded bundle.
    """

    def __init__(
        self, bundle: Bundle, *, reuse: LoadedBundle | None = None, entities: Collection[str] | None = None
    ) -> None:
        """Read, check and load the files.

        Args:
            bundle: An open bundle.
            reuse: An earlier loaded bundle; files with equal hashes are taken from it, not loaded again.
            entities: Load only the files that hold these entities, and the pooled model; the other entities are
                then answered as if they had no model. None loads everything.

        Raises:
            BundleError: A file is not what the manifest says, its family is unknown here or refuses it.
        """
        self.bundle = bundle
        self.classes = tuple(sorted({name for schema in bundle.manifest.schemas.values() for name in schema.classes}))
        self._outputs = max(len(self.classes), 1)
        index = bundle.index
        if entities is not None:
            wanted = pa.array(sorted(set(entities)), pa.string())
            index = index.filter(pc.is_in(index[ENTITY], value_set=wanted))
        pooled = bundle.manifest.pooled
        paths = sorted(set(pc.unique(index["path"]).to_pylist()) | ({pooled.path} if pooled else set()))
        known = {} if reuse is None else {loaded.file.sha256: loaded for loaded in reuse._files}
        self.reused = 0
        self._files: list[_LoadedFile] = []
        for path in paths:
            file = bundle.files[path]
            before = known.get(file.sha256)
            self.reused += before is not None
            self._files.append(self._load(file) if before is None else self._again(before, file))
        number = {path: i for i, path in enumerate(paths)}
        places = np.array([number[path] for path in index["path"].to_pylist()], dtype=np.int32)
        self._check_index(index, places)
        # Slot 0 is "no model", slot 1 the pooled model, slot i + 2 the i-th entity of the index.
        count = index.num_rows
        self._file_of = np.full(count + 2, -1, dtype=np.int32)
        self._row_of = np.zeros(count + 2, dtype=np.int32)
        if pooled is not None:
            self._file_of[1], self._row_of[1] = number[pooled.path], pooled.row
        self._file_of[2:] = places
        self._row_of[2:] = index["row"].to_numpy()
        self._slot = dict(zip(index[ENTITY].to_pylist(), range(2, count + 2), strict=True))
        self._default = 0 if pooled is None else 1

    @property
    def entities(self) -> Collection[str]:
        """Entities loaded with a model of their own."""
        return self._slot.keys()

    def schema_for(self, entity: str) -> str | None:
        """Return the fingerprint of the schema that encodes an entity's rows; None where no model serves it."""
        file = self._file_of[self._slot.get(entity, self._default)]
        return None if file < 0 else self._files[file].file.fingerprint

    def predict_encoded(self, encode: Callable[[Schema], EncodedRows], entities: Sequence[str]) -> Predicted:
        """Predict rows, each by its entity's model, or by the pooled one where the entity has none.

        Args:
            encode: Returns all n rows encoded by a schema; called once per distinct schema that is needed.
            entities: The entity of each of the n rows.

        Returns:
            The n predictions.
        """
        slots = np.fromiter((self._slot.get(e, self._default) for e in entities), dtype=np.int64, count=len(entities))
        return self._predict(encode, slots)

    def predict_pooled(self, encode: Callable[[Schema], EncodedRows], rows: int) -> Predicted:
        """Predict ``rows`` rows by the pooled model alone, whatever their entities; see ``predict_encoded``."""
        return self._predict(encode, np.full(rows, self._default, dtype=np.int64))

    def _predict(self, encode: Callable[[Schema], EncodedRows], slots: NDArray[np.int64]) -> Predicted:
        values = np.full((len(slots), self._outputs), np.nan)
        files = self._file_of[slots]
        models = self._row_of[slots]
        encoded: dict[str, EncodedRows] = {}
        for number in np.unique(files):
            if number < 0:
                continue
            loaded = self._files[number]
            rows = np.flatnonzero(files == number)
            fingerprint = loaded.file.fingerprint
            if fingerprint not in encoded:
                encoded[fingerprint] = encode(loaded.schema)
            whole = len(rows) == len(slots)
            chosen = encoded[fingerprint] if whole else encoded[fingerprint].take(rows)
            found = loaded.predictor.predict(chosen, models[rows])
            if found.shape != (len(rows), len(loaded.columns)):
                raise BundleError(
                    f"{self.bundle.path / loaded.file.path}: family '{loaded.file.family}' returned predictions of "
                    f"shape {found.shape}, expected {(len(rows), len(loaded.columns))}"
                )
            if len(loaded.columns) == self._outputs:
                values[rows] = found
            else:
                values[rows] = 0.0
                values[rows[:, None], loaded.columns] = found
        return Predicted(values, SERVED_BY[np.where(files < 0, 0, np.where(slots == 1, 2, 1))])

    def _load(self, file: ShardFile) -> _LoadedFile:
        where = str(self.bundle.path / file.path)
        check_libraries(file.libraries, where)
        models = self.bundle.models(file.path)
        schema = self.bundle.schema_of(file)
        try:
            predictor = make_family(file.family, schema, file.parameters).load(models)
        except (SpecError, MissingExtraError) as error:
            raise BundleError(f"{where}: {error}") from error
        return _LoadedFile(file, schema, predictor, models[ENTITY], self._columns(schema))

    def _again(self, before: _LoadedFile, file: ShardFile) -> _LoadedFile:
        return _LoadedFile(file, before.schema, before.predictor, before.entities, self._columns(before.schema))

    def _columns(self, schema: Schema) -> NDArray[np.int64]:
        return np.array([self.classes.index(name) for name in schema.classes] or [0], dtype=np.int64)

    def _check_index(self, index: pa.Table, places: NDArray[np.int32]) -> None:
        """The index and the files must agree on whose model each row is."""
        order = np.argsort(places, kind="stable")
        bounds = np.searchsorted(places[order], np.arange(len(self._files) + 1))
        listed, rows = index[ENTITY].combine_chunks(), index["row"].combine_chunks()
        for i, loaded in enumerate(self._files):
            here = pa.array(order[bounds[i] : bounds[i + 1]])
            claimed = listed.take(here)
            same = pc.equal(loaded.entities.take(rows.take(here)), claimed)
            if len(here) and not pc.all(same).as_py():
                wrong = claimed.filter(pc.invert(same).combine_chunks())[0].as_py()
                raise BundleError(
                    f"{self.bundle.path}: index.parquet says entity {wrong!r} is in {loaded.file.path}, "
                    "but another entity's model is there; retrain, or roll back to another release"
                )
