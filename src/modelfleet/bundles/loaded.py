"""A bundle in memory, ready to predict rows of any mixture of entities."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.asking import ask
from modelfleet.bundles.entity_index import EntityIndex
from modelfleet.bundles.held_bytes import held_bytes
from modelfleet.bundles.libraries import check_libraries
from modelfleet.bundles.shard_memory import Part, Shard, ShardMemory
from modelfleet.errors import BundleError, MissingExtraError, SpecError
from modelfleet.families.base import ENTITY
from modelfleet.families.catalog import make_family

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from modelfleet.bundles.asking import Asking
    from modelfleet.bundles.blocks import Blocks
    from modelfleet.bundles.format import ShardFile
    from modelfleet.bundles.reader import Bundle
    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema

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
        failures: Why a row's model did not predict, by position; only an ``Asking`` fails rows.
    """

    values: NDArray[np.float64]
    server: NDArray[np.int8]
    failures: Mapping[int, str] = field(default_factory=dict)

    @property
    def served_by(self) -> NDArray[np.object_]:
        """(n,) objects: ``entity``, ``pooled`` or ``none``."""
        return np.array(SERVED_BY, dtype=object)[self.server]


class LoadedBundle:
    """The models of a bundle, in memory or loaded when they are needed.

    Attributes:
        bundle: What was loaded.
        classes: Class labels, the columns of a prediction; empty for regression. Where schemas of the bundle know
            different classes, their union; a model gives 0 to a class it does not know.
        entities: Entities with a model of their own.
        memory: Where its models are; bundles that share it share what they have in common.
        parts: What is loaded at once: its files, or their blocks after ``by_block``; ``load`` counts them from 0.
        reused: Number of parts that another bundle had left there.
        pooled_slot: What ``slots_of`` calls the pooled model, or no model where there is no pooled one.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        memory: ShardMemory | None = None,
        entities: Collection[str] | None = None,
        lazy: bool = False,
    ) -> None:
        """Read, check and load the files.

        Args:
            bundle: An open bundle.
            memory: Where to keep the files, and where to look for them first; None means memory of its own.
            entities: Load only the files that hold these entities, and the pooled model; the other entities are
                then answered as if they had no model. None loads everything.
            lazy: Read, check and load each file when a row needs it first, not now.

        Raises:
            BundleError: A file is not what the manifest says, its family is unknown here or refuses it.
        """
        self.bundle = bundle
        self.classes = tuple(sorted({name for schema in bundle.manifest.schemas.values() for name in schema.classes}))
        self._outputs = max(len(self.classes), 1)
        places = bundle.places
        if entities is not None:
            wanted = pa.array(sorted(set(entities)), pa.string())
            places = places.filter(pc.is_in(places[ENTITY], value_set=wanted)).combine_chunks()
        pooled = bundle.manifest.pooled
        paths = sorted(set(pc.unique(places["path"]).to_pylist()) | ({pooled.path} if pooled else set()))
        self._files = [bundle.files[path] for path in paths]
        number = {path: i for i, path in enumerate(paths)}
        # Slot 0 is "no model", slot 1 the pooled model, slot i + 2 the i-th entity of the index.
        count = places.num_rows
        self._file_of = np.full(count + 2, -1, dtype=np.int32)
        self._row_of = np.zeros(count + 2, dtype=np.int32)
        if pooled is not None:
            self._file_of[1], self._row_of[1] = number[pooled.path], pooled.row
        if count:
            codes = places["path"].chunk(0)
            named = np.array([number.get(path, -1) for path in codes.dictionary.to_pylist()], dtype=np.int32)
            self._file_of[2:] = named[codes.indices.to_numpy()]
            self._row_of[2:] = places["row"].to_numpy()
        self.entities = EntityIndex(places[ENTITY].chunk(0) if count else pa.array([], pa.string()))
        self.pooled_slot = 0 if pooled is None else 1
        self._pooled_only = False
        self._fingerprints = tuple(sorted({file.fingerprint for file in self._files}))
        self._schema_of = np.array(
            [*(self._fingerprints.index(file.fingerprint) for file in self._files), -1], dtype=np.int64
        )
        # Until ``by_block`` each file is one part
        self.parts = [Part.whole(file) for file in self._files]
        self._part_of = self._file_of
        self._blocks: dict[str, Blocks] = {}  # by the file's path
        self._columns = {name: self._columns_of(bundle.manifest.schemas[name]) for name in self._fingerprints}
        self.memory = ShardMemory() if memory is None else memory
        self.memory.claim(self, [file.sha256 for file in self._files])
        self._fitting = np.zeros(len(paths), dtype=bool)
        self.reused = 0
        if not lazy:
            self.load(range(len(paths)))

    def answering(self, *, pooled_only: bool) -> LoadedBundle:
        """Return the same models in memory, with the pooled one in the place of every entity's own, or without."""
        models = copy.copy(self)
        models._pooled_only = pooled_only
        models.memory.claim(models, [file.sha256 for file in models._files])
        return models

    @property
    def files(self) -> Sequence[ShardFile]:
        """The files its models are in."""
        return self._files

    @property
    def nbytes(self) -> int:
        """Bytes in memory beside those of the models: what is needed to know which model serves whom, and where."""
        arrays = {id(array): array.nbytes for array in (self._file_of, self._row_of, self._part_of)}
        return self.entities.nbytes + sum(arrays.values()) + sum(blocks.nbytes for blocks in self._blocks.values())

    def by_block(self) -> None:
        """From now on load blocks rather than whole files; reads and checks every file once, and keeps none.

        Raises:
            BundleError: A file is not what the manifest says.
        """
        slots = np.argsort(self._file_of, kind="stable")
        bounds = np.searchsorted(self._file_of[slots], np.arange(len(self._files) + 1))
        parts: list[Part] = []
        part_of = np.full_like(self._file_of, -1)
        for number, file in enumerate(self._files):
            mine = slots[bounds[number] : bounds[number + 1]]
            blocks = self.bundle.blocks(file.path)
            if blocks is None:
                part_of[mine] = len(parts)
                parts.append(Part.whole(file))
                continue
            own = mine[mine > 1]  # of entities
            self._check_index(blocks.entities, own, file)
            part_of[mine] = len(parts) + np.searchsorted(blocks.rows, self._row_of[mine], side="right") - 1
            sizes = (blocks.bounds[:, 1] - blocks.bounds[:, 0]).tolist()
            parts += [Part.of(file, block, size) for block, size in enumerate(sizes)]
            self._blocks[file.path] = blocks.without_entities(self._blocks.values())
        self._part_of, self.parts = part_of, parts
        self._fitting = np.array([part.block is not None for part in parts], dtype=bool)

    def parts_of(self, slots: NDArray[np.int64]) -> list[int]:
        """Return the parts that hold the models of some slots, each once, as ``load`` counts them."""
        return [number for number in np.unique(self._part_of[slots]).tolist() if number >= 0]

    def load(self, numbers: Iterable[int]) -> None:
        """Load some parts now.

        Raises:
            BundleError: A file is not what the manifest says, its family is unknown here or refuses it.
        """
        for number in numbers:
            with self._using(number):
                pass

    def slots_of(self, entities: Sequence[str]) -> NDArray[np.int64]:
        """Return what ``predict_slots`` calls the model that serves each entity, (n,)."""
        if self._pooled_only:
            return np.full(len(entities), self.pooled_slot, dtype=np.int64)
        found = self.entities.find(entities)
        return np.where(found < 0, self.pooled_slot, found + 2)

    def schemas_of(self, slots: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Return fingerprints of schemas, and (n,) which of them encodes a slot's rows; -1 where no model serves."""
        return self._fingerprints, self._schema_of[self._file_of[slots]]

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
        return self.predict_slots(encode, np.full(rows, self.pooled_slot, dtype=np.int64))

    def predict_slots(
        self, encode: Callable[[Schema], EncodedRows], slots: NDArray[np.int64], asking: Asking | None = None
    ) -> Predicted:
        """Predict rows by the models ``slots_of`` named, (n,); see ``predict_encoded``.

        Parts are used one after the other, those in memory first, so that a batch needs room for one part at a time.

        Args:
            encode: As in ``predict_encoded``.
            slots: (n,) what ``slots_of`` returned.
            asking: How models are asked; a part that cannot be loaded then fails its rows only. None means as they
                are, and whatever they raise is raised.
        """
        wanted = self._part_of[slots]
        models = self._row_of[slots]
        # Two bytes or less: numpy then sorts by counting
        small = len(self.parts) <= np.iinfo(np.int16).max
        order = np.argsort(wanted.astype(np.int16) if small else wanted, kind="stable")
        bounds = np.append(0, np.cumsum(np.bincount(wanted + 1, minlength=len(self.parts) + 1)))
        values = np.full((len(slots), self._outputs), np.nan)
        encoded: dict[str, EncodedRows] = {}
        failures: dict[int, str] = {}
        numbers = np.flatnonzero(np.diff(bounds)[1:]).tolist()
        if self.memory.limit is not None:
            numbers.sort(key=lambda number: not self.memory.has(self.parts[number]))
        for number in numbers:
            file = self.parts[number].file
            rows = order[bounds[number + 1] : bounds[number + 2]]
            if file.fingerprint not in encoded:
                encoded[file.fingerprint] = encode(self.bundle.schema_of(file))
            whole = len(rows) == len(slots)
            chosen = encoded[file.fingerprint] if whole else encoded[file.fingerprint].take(rows)
            if asking is None:
                with self._using(number) as shard:
                    found = ask(shard, chosen, models[rows])
            else:
                try:
                    with self._using(number) as shard:
                        found, failed = asking(shard, chosen, models[rows])
                except Exception as error:  # of the file, since asking raises nothing
                    failures |= dict.fromkeys(rows.tolist(), f"the model cannot be loaded: {error}")
                    continue
                failures |= {int(rows[i]): reason for i, reason in failed.items()}
            columns = self._columns[file.fingerprint]
            if len(columns) == self._outputs:
                values[rows] = found
            else:
                values[rows] = 0.0
                values[rows[:, None], columns] = found
        server = np.where(wanted < 0, NONE, np.where(slots == 1, POOLED_MODEL, ENTITY_MODEL))
        return Predicted(values, server.astype(np.int8), failures)

    @contextmanager
    def _using(self, number: int) -> Iterator[Shard]:
        """Give a part's models, read now if they are not in memory."""
        part = self.parts[number]
        known = self._fitting[number] or self.memory.has(part)
        with self.memory.using(part, partial(self._load, part)) as shard:
            if not self._fitting[number]:
                self._check_index(shard.entities, np.flatnonzero(self._file_of[2:] == number) + 2, part.file)
                self._fitting[number] = True
                self.reused += known
            yield shard

    def _load(self, part: Part) -> Shard:
        file = part.file
        where = f"{self.bundle.where}/{file.path}"
        check_libraries(file.libraries, where)
        first = 0
        if part.block is None:
            models = self.bundle.models(file.path)
        else:
            blocks = self._blocks[file.path]
            first = int(blocks.rows[part.block])
            models = self.bundle.block(file.path, blocks, part.block)
        schema = self.bundle.schema_of(file)
        try:
            predictor = make_family(file.family, schema, file.parameters).load(models)
        except (SpecError, MissingExtraError) as error:
            raise BundleError(f"{where}: {error}") from error
        entities = models[ENTITY]
        return Shard(file, schema, predictor, entities, held_bytes(predictor, entities), first, part.block)

    def _columns_of(self, schema: Schema) -> NDArray[np.int64]:
        return np.array([self.classes.index(name) for name in schema.classes] or [0], dtype=np.int64)

    def _check_index(self, entities: pa.ChunkedArray, slots: NDArray[np.int64], file: ShardFile) -> None:
        """The index and the file must agree on whose model each row is.

        Args:
            entities: Whose models the file has, row by row.
            slots: Those of the entities that the index says are in the file.
            file: Which.
        """
        claimed = self.entities.keys.take(pa.array(slots - 2))
        same = pc.equal(entities.take(pa.array(self._row_of[slots])), claimed)
        if len(slots) and not pc.all(same).as_py():
            wrong = claimed.filter(pc.invert(same).combine_chunks())[0].as_py()
            raise BundleError(
                f"{self.bundle.where}: index.parquet says entity {wrong!r} is in {file.path}, "
                "but another entity's model is there; retrain, or roll back to another release"
            )
