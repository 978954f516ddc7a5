"""The champion seen from a run: what it predicts for the run's rows, and which of its models come back unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.families.base import ENTITY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from modelfleet.bundles.reader import Bundle
    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.training.job import TrainingJob


class Champion:
    """The part of the champion bundle that serves some entities."""

    def __init__(self, job: TrainingJob, bundle: Bundle, entities: Sequence[str]) -> None:
        """Load the models.

        Args:
            job: The training step.
            bundle: The champion.
            entities: Whose models are needed; the pooled model always is.

        Raises:
            BundleError: A file is not what the manifest says, or does not fit the libraries here.
        """
        self._job = job
        self._bundle = bundle
        self._entities = entities
        pooled = job.champion_pooled
        self._loaded = LoadedBundle(bundle, memory=None if pooled is None else pooled.memory, entities=entities)
        wanted = pa.array(sorted(set(entities)), pa.string())
        self._index = bundle.index.filter(pc.is_in(bundle.index[ENTITY], value_set=wanted))

    def has_own(self) -> NDArray[np.bool_]:
        """Return (E,) which entities have a model of their own."""
        own = set(self._index[ENTITY].to_pylist())
        return np.array([entity in own for entity in self._entities], dtype=bool)

    def notes(self) -> dict[str, str]:
        """Return why the champion of an entity cannot be compared, for those where it cannot."""
        note = self._comparable()
        if note:
            return dict.fromkeys(self._entities, note)
        own = dict(zip(*(self._index[name].to_pylist() for name in (ENTITY, "split_fingerprint")), strict=True))
        pooled = self.pooled_note() if self._bundle.manifest.pooled else ""
        notes = {entity: self._job.split_note(own[entity]) if entity in own else pooled for entity in self._entities}
        return {entity: note for entity, note in notes.items() if note}

    def pooled_note(self) -> str:
        """Return why the champion's pooled model cannot be compared; empty where it can."""
        pooled = self._bundle.manifest.pooled
        return self._comparable() or (self._job.split_note(pooled.split_fingerprint) if pooled else "")

    def _comparable(self) -> str:
        needed = {feature.name for schema in self._bundle.manifest.schemas.values() for feature in schema.features}
        gone = sorted(needed - self._job.columns)
        if gone:
            return f"the champion needs columns this run's data does not have ({', '.join(gone)}); not comparable"
        unknown = set(self._loaded.classes) ^ set(self._job.schema.classes)
        if unknown:
            return f"the champion knows other classes ({', '.join(sorted(unknown))} on one side only); not comparable"
        return ""

    def predict(self, encode: Callable[[Schema], EncodedRows], entities: Sequence[str]) -> NDArray[np.float64]:
        """Return what serves some rows now, (n, outputs) in the run's classes; NaN where nothing comparable does.

        Args:
            encode: Returns the n rows encoded by a schema; called once per schema that is needed.
            entities: The entity of each row.
        """
        if self._comparable():
            return np.full((len(entities), self._job.schema.outputs), np.nan)
        return self._ordered(self._loaded.predict_encoded(encode, entities).values)

    def predict_pooled(self, encode: Callable[[Schema], EncodedRows], rows: int) -> NDArray[np.float64]:
        """Return the champion's pooled model's predictions, (rows, outputs); NaN where it has none to compare."""
        if self._comparable():
            return np.full((rows, self._job.schema.outputs), np.nan)
        return self._ordered(self._loaded.predict_pooled(encode, rows).values)

    def _ordered(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Put the champion's columns into the order of the run's classes."""
        classes = self._job.schema.classes
        return values[:, [self._loaded.classes.index(name) for name in classes]] if classes else values

    def unchanged(self, models: pa.Table, family: str) -> NDArray[np.bool_]:
        """Return, for each model of a table a family just fitted, whether the champion's of the entity equals it."""
        result = np.zeros(models.num_rows, dtype=bool)
        position = {entity: row for row, entity in enumerate(models[ENTITY].to_pylist())}
        for path in pc.unique(self._index["path"]).to_pylist():
            file = self._bundle.files[path]
            if (file.family, file.fingerprint) != (family, self._job.schema.fingerprint):
                continue
            here = self._index.filter(pc.equal(self._index["path"], path))
            pairs = [
                (position[entity], row)
                for entity, row in zip(here[ENTITY].to_pylist(), here["row"].to_pylist(), strict=True)
                if entity in position
            ]
            if pairs:
                mine, theirs = np.array(pairs, dtype=np.int64).T
                result[mine] = equal_rows(models.take(mine), self._bundle.models(path).take(theirs))
        return result

    def pooled_unchanged(self, model: pa.Table) -> bool:
        """Return whether the champion's pooled model equals one just fitted."""
        ref = self._bundle.manifest.pooled
        if ref is None:
            return False
        file = self._bundle.files[ref.path]
        family = self._job.run.spec.model.pooled_recipe.family
        same = (file.family, file.fingerprint) == (family, self._job.schema.fingerprint)
        theirs = self._bundle.pooled()
        return same and theirs is not None and bool(equal_rows(model, theirs)[0])


def equal_rows(one: pa.Table, other: pa.Table) -> NDArray[np.bool_]:
    """Return (n,) which rows of two tables of models hold the same model, their ``entity`` aside."""
    one, other = one.drop_columns([ENTITY]).combine_chunks(), other.drop_columns([ENTITY]).combine_chunks()
    if not one.schema.equals(other.schema):
        return np.zeros(one.num_rows, dtype=bool)
    same = np.ones(one.num_rows, dtype=bool)
    for name in one.column_names:
        if pa.types.is_list(one.schema.field(name).type):
            same &= pc.list_value_length(one[name]).to_numpy() == pc.list_value_length(other[name]).to_numpy()
    for row in np.flatnonzero(same).tolist():
        same[row] = one.slice(row, 1).equals(other.slice(row, 1))
    return same
