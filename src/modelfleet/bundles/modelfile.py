"""Model files: one Arrow IPC file per shard, family and schema, with the same bytes for the same models."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.bundles.blocks import block_rows
from modelfleet.bundles.format import ShardFile
from modelfleet.bundles.libraries import libraries_of
from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY
from modelfleet.families.catalog import make_family
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from modelfleet.data.schema import Schema

METADATA_KEY = b"modelfleet"


def write_shard(
    folder: Path, shard: int | None, family: str, parameters: Mapping[str, object], schema: Schema, models: pa.Table
) -> ShardFile:
    """Write the models of one shard; any process may call it, and calling it again changes nothing.

    Args:
        folder: The bundle's folder; made if absent.
        shard: Number of the shard; None for the pooled model.
        family: Name of the family that fitted the models.
        parameters: The family's parameters; must be JSON.
        schema: The schema the training rows were encoded by.
        models: One row per model, first column ``entity``; stored sorted by entity.

    Returns:
        What the manifest says about the file.

    Raises:
        BundleError: The table cannot be stored: no entity column, an entity twice, or a type that could run code.
        SpecError: There is no such family, or it does not take these parameters.
    """
    libraries = libraries_of(make_family(family, schema, parameters))
    header = {
        "family": family,
        "parameters": dict(parameters),
        "fingerprint": schema.fingerprint,
        "libraries": libraries,
    }
    table = _canonical(models, f"shard {shard} of family '{family}'")
    path = _path(shard, family, header, table.schema)
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(header, sort_keys=True).encode()})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=block_rows(table))
    data = sink.getvalue().to_pybytes()
    write_whole(folder / path, data)
    return ShardFile(
        path=path, shard=shard, rows=table.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), **header
    )


def read_models(data: bytes, file: ShardFile, where: str, *, only_entities: bool = False) -> pa.Table:
    """Parse the bytes of a model file whose hash has been checked.

    Args:
        data: The whole file.
        file: What the manifest says about it.
        where: The file's path, for messages.
        only_entities: Whether the models themselves are left alone, and only whose they are is read.

    Raises:
        BundleError: It is not an Arrow file, or is another one than the manifest says.
    """
    try:
        # Handing each block's columns to threads takes five times as long as reading them
        options = pa.ipc.IpcReadOptions(included_fields=[0] if only_entities else [], use_threads=False)
        with pa.ipc.open_file(pa.BufferReader(data), options=options) as reader:
            table = reader.read_all()
            table.validate()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleError(
            f"{where}: not a readable Arrow file ({error}); retrain, or roll back to another release"
        ) from error
    try:
        header: dict[str, Any] = json.loads((table.schema.metadata or {}).get(METADATA_KEY, b"{}"))
    except ValueError:
        header = {}
    for name in ("family", "parameters", "fingerprint", "libraries"):
        expected = getattr(file, name)
        if header.get(name) != expected:
            raise BundleError(f"{where}: {name} is {header.get(name)!r} in the file, {expected!r} in bundle.json")
    if table.num_rows != file.rows:
        raise BundleError(f"{where}: holds {table.num_rows} models, bundle.json says {file.rows}")
    _check_columns(table, where)
    return table


def _canonical(models: pa.Table, where: str) -> pa.Table:
    """Sort by entity, in one chunk, without offsets into larger buffers: the same models give the same bytes."""
    _check_columns(models, where)
    if models.schema.field(ENTITY).type != pa.string():
        models = models.set_column(0, ENTITY, models[ENTITY].cast(pa.string()))
    order = pc.sort_indices(models, sort_keys=[(ENTITY, "ascending")])
    table = models.unify_dictionaries().take(order).combine_chunks()
    table = pa.Table.from_arrays(table.columns, names=table.column_names)  # drops field metadata and "not null"
    entities = table[ENTITY]
    if entities.null_count:
        raise BundleError(f"{where}: {entities.null_count} models have no entity")
    if table.num_rows > 1:
        same = pc.equal(entities.slice(1), entities.slice(0, table.num_rows - 1))
        if pc.any(same).as_py():
            twice = entities.slice(1).filter(same)[0].as_py()
            raise BundleError(f"{where}: entity {twice!r} has two models; a shard holds one per entity")
    return table


def _check_columns(table: pa.Table, where: str) -> None:
    if not table.column_names or table.column_names[0] != ENTITY:
        raise BundleError(f"{where}: the first column must be '{ENTITY}', found {table.column_names[:1]}")
    for field in table.schema:
        if isinstance(field.type, pa.BaseExtensionType):
            raise BundleError(f"{where}: column '{field.name}' has the extension type {field.type}; store plain values")


def _path(shard: int | None, family: str, header: Mapping[str, object], columns: pa.Schema) -> str:
    """Name the file after everything that models must share to lie in one file."""
    described = json.dumps([header, [(f.name, str(f.type)) for f in columns]], sort_keys=True)
    digest = hashlib.sha256(described.encode()).hexdigest()[:8]
    name = f"{re.sub(r'[^A-Za-z0-9_]', '-', family)[:40]}-{digest}.arrow"
    return f"pooled/{name}" if shard is None else f"shards/{shard:05d}-{name}"
