"""Opening a bundle: every file is checked against its hash before anything in it is used."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from modelfleet.bundles.blocks import Blocks
from modelfleet.bundles.format import FORMAT, MANIFEST_NAME, BundleManifest, IndexFile, ShardFile
from modelfleet.bundles.modelfile import read_models
from modelfleet.bundles.storage import NEXT, FolderStorage, Storage, open_storage
from modelfleet.errors import BundleError
from modelfleet.families.base import ENTITY

if TYPE_CHECKING:
    from modelfleet.data.schema import Schema


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose manifest has been read and whose index has been checked.

    Attributes:
        storage: Where its files are.
        manifest: What ``bundle.json`` says.
        sha256: Of ``bundle.json``: the bundle's identity.
        places: One row per entity with a model of its own, in the order of the index: ``entity``, ``path``
            (a dictionary), ``row``. All that serving needs; the rest of the index is some ten times as large.
    """

    storage: Storage
    manifest: BundleManifest
    sha256: str
    places: pa.Table

    @classmethod
    def open(cls, at: str | Path | Storage, *, sha256: str | None = None, verify: bool = True) -> Bundle:
        """Open a bundle.

        Args:
            at: Its folder, its URL, or where else its files are.
            sha256: The hash it must have, from the release that names it; None accepts any.
            verify: Whether to hash every model file now. False hashes each when it is read, as ``models`` always
                does, so nothing unverified is ever used; it saves reading the files twice.

        Raises:
            BundleError: A file is missing, truncated or altered, the format is unknown, or the parts do not fit
                together. The message names the file, what was found, what was expected and what to do.
        """
        storage = open_storage(str(at)) if isinstance(at, str | Path) else at
        file = f"{storage.where}/{MANIFEST_NAME}"
        data = storage.manifest()
        found = hashlib.sha256(data).hexdigest()
        if sha256 is not None and found != sha256:
            raise BundleError(f"{file}: sha256 is {found}, expected {sha256}: the bundle was altered; {NEXT}")
        manifest = _parse(data, file)
        bundle = cls(storage, manifest, found, _read_places(storage, manifest))
        if verify:
            bundle.verify()
        return bundle

    def verify(self) -> None:
        """Hash every model file.

        Raises:
            BundleError: One is not what the manifest says.
        """
        for file in self.manifest.files:
            self.read(file)

    @property
    def path(self) -> Path:
        """Its folder on this machine.

        Raises:
            BundleError: It is elsewhere.
        """
        if not isinstance(self.storage, FolderStorage):
            raise BundleError(f"{self.where}: is no folder of this machine; copy it here first")
        return self.storage.path

    @property
    def where(self) -> str:
        """Its folder or URL, for messages."""
        return self.storage.where

    @cached_property
    def entities(self) -> frozenset[str]:
        """Entities with a model of their own."""
        return frozenset(self.places[ENTITY].to_pylist())

    @cached_property
    def index(self) -> pa.Table:
        """All that is known of each entity with a model of its own, sorted by entity, read when first asked for.

        Columns ``entity``, ``path``, ``row``, ``family``, ``rows_train``, ``run_id``, ``split_fingerprint``,
        ``holdout_threshold``, ``loss``, metrics.
        """
        with pq.ParquetFile(pa.BufferReader(self.read(self.manifest.index))) as file:
            return file.read(use_threads=False)

    @cached_property
    def files(self) -> dict[str, ShardFile]:
        """Model files by path."""
        return {file.path: file for file in self.manifest.files}

    def schema_of(self, file: ShardFile) -> Schema:
        """Return the schema that rows for a file's models are encoded by."""
        return self.manifest.schemas[file.fingerprint]

    def models(self, path: str) -> pa.Table:
        """Return the models of one file, one per row, sorted by entity.

        Raises:
            BundleError: There is no such file in the bundle, or it is not what the manifest says.
        """
        if path not in self.files:
            raise BundleError(f"{self.where}: has no model file '{path}'; it has {', '.join(self.files) or 'none'}")
        file = self.files[path]
        return read_models(self.read(file), file, f"{self.where}/{path}")

    def blocks(self, path: str) -> Blocks | None:
        """Return where the blocks of a model file are, after checking the whole of it.

        Raises:
            BundleError: As ``models``.
        """
        file = self.files[path]
        data = self.read(file)
        models = read_models(data, file, f"{self.where}/{path}", only_entities=True)
        return Blocks.find(data, models[ENTITY])

    def block(self, path: str, blocks: Blocks, number: int) -> pa.Table:
        """Return the models of one block of a file, one per row, read anew.

        Raises:
            BundleError: The file is no longer what it was when ``blocks`` was made of it, or cannot be read.
        """
        file = self.files[path]
        begin, end = blocks.bounds[number].tolist()
        data = self.storage.piece(file, begin, end)
        if not blocks.holds(number, data):
            data = self.read(file)[begin:end]  # tells what is wrong with the file, or gets a sound one
        return blocks.models(number, data, f"{self.where}/{path}")

    def pooled(self) -> pa.Table | None:
        """Return the pooled model as a table of one row, or None where the fleet has none.

        Raises:
            BundleError: Its file is not what the manifest says.
        """
        ref = self.manifest.pooled
        return None if ref is None else self.models(ref.path).slice(ref.row, 1)

    def read(self, file: ShardFile | IndexFile) -> bytes:
        """Return a file's bytes after checking their number and hash.

        Raises:
            BundleError: They are not what the manifest says.
        """
        return self.storage.read(file)


def _parse(data: bytes, file: str) -> BundleManifest:
    try:
        document = json.loads(data)
    except ValueError as error:
        raise BundleError(f"{file}: not JSON ({error}), {len(data)} bytes: truncated or altered; {NEXT}") from None
    number = document.get("format") if isinstance(document, dict) else None
    if number != FORMAT:
        raise BundleError(
            f"{file}: bundle format {number!r}, this version reads {FORMAT}: "
            "use the modelfleet that wrote it, or retrain"
        )
    try:
        manifest = BundleManifest.model_validate(document)
    except ValidationError as error:
        issue = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in issue["loc"])
        raise BundleError(f"{file}: {field} is {issue['input']!r}: {issue['msg']}; {NEXT}") from None
    for fingerprint, schema in manifest.schemas.items():
        if schema.fingerprint != fingerprint:
            raise BundleError(f"{file}: schema {fingerprint} has the fingerprint {schema.fingerprint}: altered; {NEXT}")
        if schema.task != manifest.task:
            raise BundleError(f"{file}: schema {fingerprint} is for {schema.task}, the fleet's task is {manifest.task}")
    paths = {}
    for part in manifest.files:
        if part.fingerprint not in manifest.schemas:
            raise BundleError(f"{file}: {part.path} needs schema {part.fingerprint}, which the bundle lacks; {NEXT}")
        if part.path in paths:
            raise BundleError(f"{file}: lists {part.path} twice; {NEXT}")
        paths[part.path] = part
    pooled = manifest.pooled
    if pooled is not None and (pooled.path not in paths or pooled.row >= paths[pooled.path].rows):
        raise BundleError(f"{file}: the pooled model is row {pooled.row} of {pooled.path}, which is not there; {NEXT}")
    return manifest


def _read_places(storage: Storage, manifest: BundleManifest) -> pa.Table:
    """Read which model serves whom, after checking that the index fits the manifest."""
    file = f"{storage.where}/{manifest.index.path}"
    data = storage.read(manifest.index)
    try:
        with pq.ParquetFile(pa.BufferReader(data), read_dictionary=["path"]) as parquet:
            missing = {ENTITY, "path", "row", "family"} - set(parquet.schema_arrow.names)
            if missing:
                raise BundleError(f"{file}: lacks the columns {', '.join(sorted(missing))}; {NEXT}")
            places = parquet.read([ENTITY, "path", "row"]).unify_dictionaries().combine_chunks()
    except (pa.ArrowException, OSError) as error:
        raise BundleError(f"{file}: not a readable Parquet file ({error}); {NEXT}") from error
    own = [part for part in manifest.files if part.shard is not None]
    stored = sum(part.rows for part in own)
    if not places.num_rows == manifest.index.rows == stored:
        raise BundleError(
            f"{file}: {places.num_rows} entities, bundle.json says {manifest.index.rows}, "
            f"the files hold {stored}; {NEXT}"
        )
    if pc.count_distinct(places[ENTITY], mode="all").as_py() != places.num_rows:
        raise BundleError(f"{file}: an entity is listed twice; {NEXT}")
    rows = {part.path: part.rows for part in own}
    lasts = places.group_by("path").aggregate([("row", "min"), ("row", "max")])
    for name, low, high in zip(*(lasts[c].to_pylist() for c in ("path", "row_min", "row_max")), strict=True):
        if name not in rows or low < 0 or high >= rows[name]:
            raise BundleError(
                f"{file}: points at rows {low} to {high} of {name}, which has {rows.get(name, 0)}; {NEXT}"
            )
    return places
