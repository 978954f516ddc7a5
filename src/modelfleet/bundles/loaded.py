"""A bundle in memory, ready to predict rows of any mixture of entities."""

from __future__ import annotations

import copy
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

SERVED_BY = ("none", "entity", "pooled")
"""Which model answered a row, by code."""

NONE, ENTITY_MODEL, POOLED_MODEL = range(3)
"""The codes."""


@dataclass(frozen=True)
class Predicted:
    """Predictions of some rows, in the rows' order.

    Attributes:
        values: (n, number of classes) probabilities in the order of ``LoadedBundle.classes``, or (n, 1) numbers;
            NaN where no model serves the row.
        server: (n,) int8: which model served the row, as ``SERVED_BY`` counts.
    """

    values: NDArray[np.float64]
    server: NDArray[np.int8]

    @property
    def served_by(self) -> NDArray[np.object_]:
        """(n,) objects: ``entity``, ``pooled`` or ``none``."""
        return np.array(SERVED_BY, dtype=object)[self.server]


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
        self,
        bundle: Bundle,
        *,
        reuse: LoadedBundle | None = None,
        entities: Collection[str] | None = None,
        lazy: bool = False,
    ) -> None:
        """Read, check and load the files.

        Args:
            bundle: An open bundle.
            reuse: An earlier loaded bundle; files with equal hashes are taken from it, not loaded again.
            entities: Load only the files that hold these entities, and the pooled model; the other entities are
                then answered as if they had no model. None loads everything.
            lazy: Read, check and load each file when a row needs it first, not now.

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
        self._known = {} if reuse is None else {x.file.sha256: x for x in reuse._files if x is not None}
        self._paths = paths
        number = {path: i for i, path in enumerate(paths)}
        codes = index["path"].combine_chunks().dictionary_encode()
        if isinstance(codes, pa.ChunkedArray):  # no entity at all
            codes = pa.array([], pa.string()).dictionary_encode()
        named = np.array([number[path] for path in codes.dictionary.to_pylist()], dtype=np.int32)
        places = named[codes.indices.to_numpy()]
        # Slot 0 is "no model", slot 1 the pooled model, slot i + 2 the i-th entity of the index.
        count = index.num_rows
        self._file_of = np.full(count + 2, -1, dtype=np.int32)
        self._row_of = np.zeros(count + 2, dtype=np.int32)
        if pooled is not None:
            self._file_of[1], self._row_of[1] = number[pooled.path], pooled.row
        self._file_of[2:] = places
        self._row_of[2:] = index["row"].to_numpy()
        self._listed = index[ENTITY].combine_chunks()
        self._by_file = np.argsort(places, kind="stable")
        self._bounds = np.searchsorted(places[self._by_file], np.arange(len(paths) + 1))
        self._own_slot = dict(zip(self._listed.to_pylist(), range(2, count + 2), strict=True))
        self._slot = self._own_slot
        self._default = 0 if pooled is None else 1
        self.reused = 0
        self._files: list[_LoadedFile | None] = [None] * len(paths)
        if not lazy:
            for i in range(len(paths)):
                self._file(i)
            self._known = {}  # whatever is not used again may go

    def answering(self, *, pooled_only: bool) -> LoadedBundle:
        """Return the same models in memory, with the pooled one in the place of every entity's own, or without."""
        models = copy.copy(self)
        models._slot = {} if pooled_only else self._own_slot
        return models

    @property
    def entities(self) -> Collection[str]:
        """Entities loaded with a model of their own."""
        return self._own_slot.keys()

    def schema_for(self, entity: str) -> str | None:
        """Return the fingerprint of the schema that encodes an entity's rows; None where no model serves it."""
        file = self._file_of[self._slot.get(entity, self._default)]
        return None if file < 0 else self.bundle.files[self._paths[file]].fingerprint

    def slots_of(self, entities: Sequence[str]) -> NDArray[np.int64]:
        """Return what ``predict_slots`` calls the model that serves each entity, (n,)."""
        return np.fromiter((self._slot.get(e, self._default) for e in entities), dtype=np.int64, count=len(entities))

    def schemas_of(self, slots: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return fingerprints of schemas, and (n,) which of them encodes a slot's rows; -1 where no model serves."""
        each = [self.bundle.files[path].fingerprint for path in self._paths]
        names = tuple(sorted(set(each)))
        of_file = np.array([*(names.index(name) for name in each), -1], dtype=np.int64)
        return names, of_file[self._file_of[slots]]

    def predict_encoded(self, encode: Callable[[Schema], EncodedRows], entities: Sequence[str]) -> Predicted:
        """Predict rows, each by its entity's model, or by the pooled one where the entity has none.

        Args:
            encode: Returns all n rows encoded by a schema; called once per distinct schema that is needed.
            entities: The entity of each of the n rows.

        Returns:
            The n predictions.
        """
        return self.predict_slots(encode, self.slots_of(entities))

    def predict_pooled(self, encode: Callable[[Schema], EncodedRows], rows: int) -> Predicted:
        """Predict ``rows`` rows by the pooled model alone, whatever their entities; see ``predict_encoded``."""
        return self.predict_slots(encode, np.full(rows, self._default, dtype=np.int64))

    def predict_slots(self, encode: Callable[[Schema], EncodedRows], slots: NDArray[np.int64]) -> Predicted:
        """Predict rows by the models ``slots_of`` named, (n,); see ``predict_encoded``."""
        files = self._file_of[slots]
        models = self._row_of[slots]
        # Two bytes or less: numpy then sorts by counting
        small = len(self._paths) <= np.iinfo(np.int16).max
        order = np.argsort(files.astype(np.int16) if small else files, kind="stable")
        bounds = np.append(0, np.cumsum(np.bincount(files + 1, minlength=len(self._paths) + 1)))
        values = np.full((len(slots), self._outputs), np.nan)
        encoded: dict[str, EncodedRows] = {}
        for number in np.flatnonzero(np.diff(bounds)[1:]).tolist():
            loaded = self._file(number)
            rows = order[bounds[number + 1] : bounds[number + 2]]
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
        server = np.where(files < 0, NONE, np.where(slots == 1, POOLED_MODEL, ENTITY_MODEL))
        return Predicted(values, server.astype(np.int8))

    def _file(self, number: int) -> _LoadedFile:
        """Return a file's models, read now if they have not been."""
        loaded = self._files[number]
        if loaded is None:
            file = self.bundle.files[self._paths[number]]
            before = self._known.get(file.sha256)
            self.reused += before is not None
            loaded = self._load(file) if before is None else self._again(before, file)
            self._check_index(loaded, number)
            self._files[number] = loaded
        return loaded

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

    def _check_index(self, loaded: _LoadedFile, number: int) -> None:
        """The index and the file must agree on whose model each row is."""
        here = self._by_file[self._bounds[number] : self._bounds[number + 1]]
        claimed = self._listed.take(pa.array(here))
        same = pc.equal(loaded.entities.take(pa.array(self._row_of[2:][here])), claimed)
        if len(here) and not pc.all(same).as_py():
            wrong = claimed.filter(pc.invert(same).combine_chunks())[0].as_py()
            raise BundleError(
                f"{self.bundle.path}: index.parquet says entity {wrong!r} is in {loaded.file.path}, "
                "but another entity's model is there; retrain, or roll back to another release"
            )
