"""Writing a bundle: model files in any order and from any process, then the index, and the manifest last."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from modelfleet.bundles.format import (
    FORMAT,
    INDEX_NAME,
    MANIFEST_NAME,
    MIXED,
    BundleManifest,
    IndexFile,
    ModelRef,
    ShardFile,
)
from modelfleet.bundles.libraries import WRITING, installed
from modelfleet.bundles.modelfile import read_models, write_shard
from modelfleet.bundles.reader import Bundle
from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelfleet.data.schema import Schema
    from modelfleet.spec.fleet import Task

PLACE = ("path", "row", "family")
"""Index columns that say where a model is; the writer fills them in."""

SPLIT = "split_fingerprint"

KNOWN = {
    "rows_train": pa.int64(),
    "run_id": pa.string(),
    SPLIT: pa.string(),
    "holdout_threshold": pa.float64(),
    "loss": pa.float64(),
}
"""Index columns every bundle has; any other column of ``index_rows`` is a metric."""


class BundleWriter:
    """Makes one bundle in a folder.

    Nothing is a bundle until ``finish`` has written ``bundle.json``; a writer that dies before leaves files that
    nobody opens and that the next attempt replaces.
    """

    def __init__(self, folder: Path, *, fleet: str, task: Task, split_fingerprint: str, run_id: str) -> None:
        """Begin a bundle.

        Args:
            folder: Made if absent.
            fleet: Name of the fleet.
            task: What its models predict.
            split_fingerprint: Of the split the models were trained under.
            run_id: The run that makes the bundle.
        """
        self._folder = folder
        self._fleet = fleet
        self._task = task
        self._split_fingerprint = split_fingerprint
        self._run_id = run_id
        self._files: dict[str, ShardFile] = {}
        self._schemas: dict[str, Schema] = {}
        self._pooled: ModelRef | None = None

    def add_shard(
        self, shard: int, family: str, parameters: Mapping[str, object], schema: Schema, models: pa.Table
    ) -> ShardFile:
        """Write the models of one shard here and now; see ``write_shard`` for the arguments and errors."""
        file = write_shard(self._folder, shard, family, parameters, schema, models)
        self.include(file, schema)
        return file

    def include(self, file: ShardFile, schema: Schema) -> None:
        """Take up a file that ``write_shard`` wrote into the folder, maybe in another process."""
        if file.fingerprint != schema.fingerprint:
            raise BundleError(f"{file.path}: encoded by schema {file.fingerprint}, given {schema.fingerprint}")
        self._schemas[schema.fingerprint] = schema
        self._files[file.path] = file

    def set_pooled(self, family: str, parameters: Mapping[str, object], schema: Schema, models: pa.Table) -> ShardFile:
        """Write the pooled model: a table of one row, whose entity is not used."""
        if models.num_rows != 1:
            raise BundleError(f"the pooled model's table has {models.num_rows} rows; expected 1")
        file = write_shard(self._folder, None, family, parameters, schema, models)
        self.include_pooled(file, schema)
        return file

    def include_pooled(
        self, file: ShardFile, schema: Schema, *, run_id: str | None = None, split_fingerprint: str | None = None
    ) -> None:
        """Take up a pooled model's file; another run's and another split's names are kept when given."""
        self.include(file, schema)
        self._pooled = ModelRef(
            path=file.path,
            row=0,
            run_id=run_id or self._run_id,
            split_fingerprint=split_fingerprint or self._split_fingerprint,
        )

    def finish(self, index_rows: pa.Table | None = None) -> Bundle:
        """Write the index and the manifest.

        Args:
            index_rows: What is known of each entity with a model: ``entity``, and of ``rows_train``, ``run_id``,
                ``split_fingerprint``, ``holdout_threshold``, ``loss`` what there is, and metrics as float64 columns.
                Rows of entities without a model are left out; entities without a row get nulls. Absent ``run_id``
                and ``split_fingerprint`` mean the writer's.

        Returns:
            The finished bundle.

        Raises:
            BundleError: Two files hold a model of one entity, or a file is not what ``include`` was told.
        """
        files = tuple(sorted((f for f in self._files.values() if f.rows), key=lambda f: f.path))
        index = self._index(files, index_rows)
        splits = set(index[SPLIT].to_pylist()) | ({self._pooled.split_fingerprint} if self._pooled else set())
        data = _parquet(index)
        write_whole(self._folder / INDEX_NAME, data)
        used = {file.fingerprint for file in files}
        manifest = BundleManifest(
            format=FORMAT,
            fleet=self._fleet,
            task=self._task,
            schemas={fingerprint: s for fingerprint, s in self._schemas.items() if fingerprint in used},
            split_fingerprint=MIXED if len(splits) > 1 else next(iter(splits), self._split_fingerprint),
            libraries=installed(WRITING) | {k: v for file in files for k, v in file.libraries.items()},
            files=files,
            index=IndexFile(
                path=INDEX_NAME, rows=index.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
            ),
            pooled=self._pooled,
            run_id=self._run_id,
        )
        self._sweep({file.path for file in files})
        write_whole(self._folder / MANIFEST_NAME, manifest.to_bytes())
        return Bundle.open(self._folder, sha256=manifest.sha256, verify=False)

    def _index(self, files: tuple[ShardFile, ...], index_rows: pa.Table | None) -> pa.Table:
        places = [_places(self._folder, file) for file in files if file.shard is not None]
        columns = {ENTITY: pa.string(), "path": pa.string(), "row": pa.int32(), "family": pa.string()}
        index = pa.concat_tables([pa.schema(columns.items()).empty_table(), *places])
        counts = pc.value_counts(index[ENTITY].combine_chunks())
        twice = counts.filter(pc.greater(counts.field("counts"), 1))
        if len(twice):
            raise BundleError(
                f"entity {twice[0]['values'].as_py()!r} has models in {twice[0]['counts']} files; expected 1"
            )
        if index_rows is not None:
            index = _with_facts(index, index_rows)
        for name, kind in KNOWN.items():
            if name not in index.column_names:
                index = index.append_column(name, pa.nulls(index.num_rows, kind))
            own = {"run_id": self._run_id, SPLIT: self._split_fingerprint}.get(name)
            column = index[name].cast(kind)
            index = index.set_column(index.column_names.index(name), name, pc.fill_null(column, own) if own else column)
        metrics = sorted(name for name in index.column_names if name not in {ENTITY, *PLACE, *KNOWN})
        for name in metrics:
            index = index.set_column(index.column_names.index(name), name, index[name].cast(pa.float64()))
        index = index.select([ENTITY, *PLACE, *KNOWN, *metrics])
        return index.sort_by(ENTITY).combine_chunks().replace_schema_metadata(None)

    def _sweep(self, listed: set[str]) -> None:
        """Remove model files that an earlier attempt left and the manifest will not name."""
        for pattern in ("shards/*", "pooled/*"):
            for path in self._folder.glob(pattern):
                if path.relative_to(self._folder).as_posix() not in listed:
                    path.unlink()


def _places(folder: Path, file: ShardFile) -> pa.Table:
    path = folder / file.path
    entities = read_models(path.read_bytes(), file, str(path), only_entities=True)[ENTITY]
    return pa.table(
        {
            ENTITY: entities,
            "path": pa.repeat(pa.scalar(file.path), file.rows),
            "row": pa.array(np.arange(file.rows, dtype=np.int32)),
            "family": pa.repeat(pa.scalar(file.family), file.rows),
        }
    )


def _with_facts(index: pa.Table, facts: pa.Table) -> pa.Table:
    keep = [name for name in facts.column_names if name not in PLACE]
    facts = facts.select(keep)
    where = pc.index_in(index[ENTITY], value_set=facts[ENTITY].cast(pa.string()).combine_chunks())
    for name in keep:
        if name != ENTITY:
            index = index.append_column(name, facts[name].combine_chunks().take(where.combine_chunks()))
    return index


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    # What many models have in common is stored once; losses and metrics are all different, and nobody filters by them
    shared = [name for name in ("path", "family", "run_id", SPLIT, "holdout_threshold") if name in table.column_names]
    pq.write_table(table, sink, compression="zstd", use_dictionary=shared, write_statistics=False)
    return bytes(sink.getvalue().to_pybytes())
