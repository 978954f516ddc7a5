"""What every part of the training step shares: the run, its champion, and who is to be trained."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.reader import Bundle
from modelfleet.data.arrow_stream import from_bytes
from modelfleet.data.prepared import SHARDS
from modelfleet.data.shard import shard_file, shard_files
from modelfleet.errors import DataError, InputError, SpecError, StepError, nearest
from modelfleet.run import Run
from modelfleet.training.prepared import PreparedShard
from modelfleet.training.recipes import make_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Family, Predictor


FACTS_OF_A_RUN = ("*.json", "*.parquet")
"""What every worker reads in the run's folder, beside shards."""

KEPT_ROWS = 1 << 18
"""A fleet of at most this many rows, some 50 MB encoded, is read and encoded once where one process trains it all."""


@dataclass(frozen=True, eq=False)
class TrainingJob:
    """The training step of one run. Cheap to make: every worker makes its own from the run's folder.

    Attributes:
        run: The run.
        schema: The resolved schema of its data.
        alone: Whether this process trains the whole fleet, so that it meets every shard more than once.
    """

    run: Run
    schema: Schema
    alone: bool = False

    @classmethod
    def load(cls, folder: str | Path, *, alone: bool = False) -> TrainingJob:
        """Return the training step of the run in a folder.

        Raises:
            StepError: There is no run, or it has not been prepared.
        """
        run = Run.load(folder)
        return cls(run, run.schema(), alone)

    def ready(self) -> TrainingJob:
        """Read all there is to read now and return itself: wrong input fails here, and threads find it done.

        Raises:
            StepError: A step before this one has not run.
            SpecError: A family does not take its parameters, or there is no column to slice by.
            BundleError: The champion's bundle is not what its release says.
        """
        _ = (self.shards, self.columns, self.families, self.quarantined, self.split_fingerprint, self.champion)
        _ = (self.profile, self.sample_seed, self.champion_pooled)
        _ = (self._kept, self._keeps, self._predictors)
        for name in self.run.spec.evaluation.slices:
            if name not in self.columns:
                raise SpecError(
                    f"evaluation.slices: the prepared rows have no column '{name}'{nearest(name, self.columns)}"
                )
        return self

    @cached_property
    def shards(self) -> Mapping[int, Path]:
        """The prepared shards' files by number.

        Raises:
            StepError: There is none.
        """
        files = shard_files(self.run.prepared)
        if not files:
            raise StepError(f"{self.run.prepared}: holds no shard-*.parquet; run the step 'prepare' first")
        return files

    @cached_property
    def columns(self) -> frozenset[str]:
        """Columns of the prepared shards.

        Raises:
            DataError: The first of them is not a Parquet file.
        """
        path = next(iter(self.shards.values()))
        try:
            return frozenset(pq.read_schema(path).names)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: not a readable prepared shard ({error}); run the step 'prepare' again") from error

    @cached_property
    def families(self) -> tuple[Family, ...]:
        """The family of each recipe, in the spec's order.

        Raises:
            SpecError: There is no such family, or it does not take its parameters.
        """
        return self._families[0]

    @property
    def pooled_family(self) -> Family:
        """The pooled model's family."""
        return self._families[1]

    def pooled_predictor(self, model: bytes) -> Predictor:
        """Return the candidate's pooled model ready to predict, made so once for all shards of a worker.

        Args:
            model: The table of one model, as an Arrow stream.
        """
        if model not in self._predictors:
            self._predictors[model] = self.pooled_family.load(from_bytes(model))
        return self._predictors[model]

    @cached_property
    def _predictors(self) -> dict[bytes, Predictor]:
        return {}

    @cached_property
    def _families(self) -> tuple[tuple[Family, ...], Family]:
        return make_families(self.run.spec.model, self.schema)

    @property
    def choosing(self) -> bool:
        """Whether each entity's model is chosen among several, so that validation rows choose and do not train."""
        return bool(self.run.spec.model.candidates)

    def read(self, shard: int, *, whole: bool = False) -> PreparedShard:
        """Read a prepared shard.

        Args:
            shard: Its number.
            whole: Whether all of its entities, or those this run trains.

        Raises:
            DataError: The file is not a prepared shard.
        """
        only = None if whole else self.run.entities
        rows = self._kept.get(shard)
        if rows is None:
            keeps = self._keeps
            read = None if keeps else only
            rows = PreparedShard.read(self.shards[shard], self.schema, read, fit_validation=not self.choosing)
            if not keeps:
                return rows
            _ = rows.encoded
            self._kept[shard] = rows
        return rows if only is None else rows.only(only)

    @cached_property
    def _kept(self) -> dict[int, PreparedShard]:
        return {}

    @cached_property
    def _keeps(self) -> bool:
        names = ("rows_train", "rows_validation", "rows_holdout")
        return self.alone and sum(int(self.profile[name].to_numpy().sum()) for name in names) <= KEPT_ROWS

    @cached_property
    def quarantined(self) -> Mapping[str, str]:
        """Entities that get no model of their own, with the reason."""
        return {str(entity): str(reason) for entity, reason in self.run.read("quarantine").items()}

    @cached_property
    def split_fingerprint(self) -> str:
        """Of this run's split."""
        return str(self.run.read("prepare")["split_fingerprint"])

    @cached_property
    def profile(self) -> pa.Table:
        """One row per entity, written by the step 'prepare'.

        Raises:
            StepError: It is not there.
        """
        return self.run.table("profile")

    @cached_property
    def champion(self) -> Bundle | None:
        """The bundle to compare with; its files are hashed when they are read."""
        ref = self.run.record.champion
        return None if ref is None or ref.damaged else Bundle.open(ref.bundle, sha256=ref.sha256, verify=False)

    @cached_property
    def champion_pooled(self) -> LoadedBundle | None:
        """The champion's pooled model in memory, which every shard compares with; None where there is no champion."""
        return None if self.champion is None else LoadedBundle(self.champion, entities=())

    def check_entities(self) -> None:
        """Refuse a run for entities that the data does not have.

        Raises:
            InputError: One of them is unknown.
        """
        known = set(self.profile["entity"].to_pylist())
        for entity in sorted((self.run.entities or frozenset()) - known):
            raise InputError(
                f"entities: the data of fleet '{self.run.spec.fleet}' has no entity {entity!r}{nearest(entity, known)}"
            )

    @property
    def trains_pooled(self) -> bool:
        """Whether a pooled model is trained.

        A run for some entities leaves the fleet's pooled model alone, unless there is none yet.
        """
        return self.run.entities is None or self.champion is None or self.champion.manifest.pooled is None

    def split_note(self, trained_under: str) -> str:
        """Return why a champion trained under another split cannot be compared; empty where it can."""
        if trained_under == self.split_fingerprint:
            return ""
        return (
            f"the champion was trained under another split ({trained_under[:8]}, this run's is "
            f"{self.split_fingerprint[:8]}), so it may have seen these holdout rows; not comparable"
        )

    @cached_property
    def sample_seed(self) -> int:
        """Where the draw of the pooled model's rows begins; independent of the split's hash."""
        text = f"pooled:{self.run.spec.model.seed}".encode()
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")


def shard_names(shards: Iterable[int]) -> list[str]:
    """Return the names of prepared shards within the run's folder."""
    return [f"{SHARDS}/{shard_file(shard)}" for shard in shards]
