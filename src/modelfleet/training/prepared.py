"""A prepared shard in memory: rows of whole entities, entity after entity, each in its part of the split."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from modelfleet.data.encode import encode_table
from modelfleet.data.plan import ENTITY, PART, ROW, TARGET
from modelfleet.data.split import HOLDOUT, TRAIN, VALIDATION
from modelfleet.errors import DataError
from modelfleet.families.base import TrainingShard

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema

ROW_COLUMNS = (ENTITY, PART, ROW, TARGET)


@dataclass(frozen=True, eq=False)
class PreparedShard:
    """The rows of a prepared shard, or of some of its entities.

    Attributes:
        schema: What the rows are encoded by.
        entities: E entity keys.
        bounds: (E + 1,) int64; rows ``bounds[e]:bounds[e + 1]`` are entity e's.
        part: (n,) int8, the part of the split.
        row_hash: (n,) uint64 content hash.
        target: (n,) float64 class index or number.
        table: The n rows' data columns.
        fit_validation: Whether validation rows train too, as where there is nothing to choose on them.
    """

    schema: Schema
    entities: tuple[str, ...]
    bounds: NDArray[np.int64]
    part: NDArray[np.int8]
    row_hash: NDArray[np.uint64]
    target: NDArray[np.float64]
    table: pa.Table
    fit_validation: bool = True

    @classmethod
    def read(
        cls, path: str | Path, schema: Schema, only: frozenset[str] | None = None, *, fit_validation: bool = True
    ) -> PreparedShard:
        """Read a shard.

        Args:
            path: The Parquet file.
            schema: The fleet's schema.
            only: Entities wanted; None means all.
            fit_validation: Whether validation rows train too.

        Raises:
            DataError: The file is not a prepared shard.
        """
        try:
            with pq.ParquetFile(path, read_dictionary=[ENTITY]) as file:
                table = file.read(use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{path}: not a readable prepared shard ({error}); run the step 'prepare' again") from error
        missing = [name for name in ROW_COLUMNS if name not in table.column_names]
        if missing:
            raise DataError(f"{path}: has no column {', '.join(missing)}; run the step 'prepare' again")
        key = table[ENTITY].unify_dictionaries().combine_chunks()
        key = key if isinstance(key, pa.DictionaryArray) else key.chunk(0) if key.num_chunks else key
        keys = key.dictionary.to_pylist() if len(key) else []
        code = key.indices.to_numpy() if len(key) else np.empty(0, dtype=np.int32)
        starts = np.flatnonzero(np.diff(code, prepend=-1)).astype(np.int64)
        if len(starts) != len(np.unique(code)):
            raise DataError(f"{path}: the rows of an entity do not stand together; run the step 'prepare' again")
        shard = cls(
            schema=schema,
            entities=tuple(keys[each] for each in code[starts]),
            bounds=np.append(starts, len(code)).astype(np.int64),
            part=table[PART].to_numpy().astype(np.int8, copy=False),
            row_hash=table[ROW].to_numpy().astype(np.uint64, copy=False),
            target=table[TARGET].to_numpy().astype(np.float64, copy=False),
            table=table.drop_columns(list(ROW_COLUMNS)),
            fit_validation=fit_validation,
        )
        return shard if only is None else shard.only(only)

    def only(self, entities: frozenset[str]) -> PreparedShard:
        """Return the rows of some entities."""
        wanted = np.array([entity in entities for entity in self.entities], dtype=bool)
        rows = np.flatnonzero(wanted[self.segment])
        sizes = np.diff(self.bounds)[wanted]
        return PreparedShard(
            schema=self.schema,
            entities=tuple(entity for entity, keep in zip(self.entities, wanted, strict=True) if keep),
            bounds=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            part=self.part[rows],
            row_hash=self.row_hash[rows],
            target=self.target[rows],
            table=self.table.take(pa.array(rows)),
            fit_validation=self.fit_validation,
        )

    @cached_property
    def segment(self) -> NDArray[np.int64]:
        """(n,) the entity of each row."""
        return np.repeat(np.arange(len(self.entities)), np.diff(self.bounds))

    @cached_property
    def encoded(self) -> EncodedRows:
        """All rows, encoded by the fleet's schema."""
        return encode_table(self.schema, self.table)

    def count(self, part: int) -> NDArray[np.int64]:
        """Return (E,) rows of each entity in a part."""
        return np.bincount(self.segment[self.part == part], minlength=len(self.entities)).astype(np.int64)

    @cached_property
    def fits(self) -> NDArray[np.bool_]:
        """(n,) which rows models are fitted on."""
        return np.isin(self.part, (TRAIN, VALIDATION) if self.fit_validation else (TRAIN,))

    @cached_property
    def rows_to_fit(self) -> NDArray[np.int64]:
        """(E,) rows models are fitted on."""
        return np.bincount(self.segment[self.fits], minlength=len(self.entities)).astype(np.int64)

    @cached_property
    def holdout_rows(self) -> NDArray[np.int64]:
        """Positions of the holdout rows, ascending."""
        return np.flatnonzero(self.part == HOLDOUT)

    def encoded_at(self, rows: NDArray[np.int64]) -> EncodedRows:
        """Return some rows encoded; the others are not encoded for it."""
        if "encoded" in self.__dict__:
            return self.encoded.take(rows)
        return encode_table(self.schema, self.table.take(pa.array(rows)))

    def training(self, wanted: NDArray[np.bool_]) -> TrainingShard:
        """Return the rows to fit of the wanted entities (E,)."""
        rows = np.flatnonzero(self.fits & wanted[self.segment])
        return TrainingShard(
            entities=tuple(entity for entity, keep in zip(self.entities, wanted, strict=True) if keep),
            bounds=np.concatenate([[0], np.cumsum(self.rows_to_fit[wanted])]).astype(np.int64),
            rows=self.encoded.take(rows),
            target=self.target[rows],
        )

    def baseline(self) -> NDArray[np.float64]:
        """Return (E, outputs), each entity's class shares or mean over its rows to fit; NaN where it has none."""
        size, outputs = len(self.entities), self.schema.outputs
        total = fit_totals(self, np.ones(size, dtype=bool), per_entity=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            shares: NDArray[np.float64] = total / self.rows_to_fit[:, None]
        return shares.reshape(size, outputs)


def fit_totals(shard: PreparedShard, wanted: NDArray[np.bool_], *, per_entity: bool = False) -> NDArray[np.float64]:
    """Return the rows to fit per class, or the sum of their targets.

    Args:
        shard: The rows.
        wanted: (E,) entities that count.
        per_entity: Whether for each entity.

    Returns:
        (E, outputs) per entity, else (outputs,).
    """
    rows = np.flatnonzero(shard.fits & wanted[shard.segment])
    outputs = shard.schema.outputs
    segment, target = shard.segment[rows], shard.target[rows]
    size = len(shard.entities)
    total: NDArray[np.float64]
    if shard.schema.classes:
        cells = segment * outputs + target.astype(np.int64)
        counts = np.bincount(cells, minlength=size * outputs)
        total = counts.astype(np.float64).reshape(size, outputs)
    else:
        total = np.bincount(segment, weights=target, minlength=size).reshape(size, 1).astype(np.float64)
    return total if per_entity else total.sum(axis=0)
