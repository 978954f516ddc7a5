"""What ``bundle.json`` says: the files of a bundle, their hashes, and what is needed to read them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from modelfleet.data.schema import Schema
from modelfleet.spec.fleet import Task

FORMAT = 1
"""The format this version writes, and the only one it reads."""

MANIFEST_NAME = "bundle.json"
INDEX_NAME = "index.parquet"
MODEL_PATH = re.compile(r"(shards|pooled)/[A-Za-z0-9_-]+\.arrow")
"""Model files lie one folder deep under names we chose: no path in a manifest can lead out of the bundle."""

MIXED = "mixed"
"""``split_fingerprint`` of a bundle whose models were trained under different splits; the index says which."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardFile(_Part):
    """One Arrow file of models, all of one family with the same parameters and schema.

    Attributes:
        path: Relative to the bundle, with forward slashes.
        shard: Number of the shard; None for the pooled model's file.
        family: Name of the family that wrote it and can load it.
        parameters: The family's parameters.
        fingerprint: Of the schema its rows are encoded by; a key of the manifest's ``schemas``.
        libraries: Version of each library that has to be of the same series (major.minor) to load it.
        rows: Number of models.
        bytes: Size of the file.
        sha256: Of the file's bytes.
    """

    path: str = Field(pattern=f"^{MODEL_PATH.pattern}$")
    shard: int | None = Field(ge=0)
    family: str
    parameters: dict[str, Any]
    fingerprint: str
    libraries: dict[str, str]
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class IndexFile(_Part):
    """The Parquet table that says where each entity's model is.

    Attributes:
        path: Always ``index.parquet``.
        rows: Number of entities with a model of their own.
        bytes: Size of the file.
        sha256: Of the file's bytes.
    """

    path: str = Field(pattern=f"^{re.escape(INDEX_NAME)}$")
    rows: int = Field(ge=0)
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class ModelRef(_Part):
    """Where one model is.

    Attributes:
        path: The model file.
        row: Its row in that file.
        run_id: The run that trained it.
        split_fingerprint: Of the split it was trained under.
    """

    path: str
    row: int = Field(ge=0)
    run_id: str
    split_fingerprint: str


class BundleManifest(_Part):
    """A complete fleet.

    Attributes:
        format: Format number.
        fleet: Name of the fleet.
        task: What the models predict.
        schemas: Each schema some file needs, by fingerprint.
        split_fingerprint: Of the split all models were trained under, or ``mixed``.
        libraries: Versions that wrote the bundle; for people, not checked.
        files: Model files, sorted by path.
        index: The index of entities.
        pooled: The pooled model; None where the fleet has none.
        run_id: The run that made the bundle.
    """

    format: int
    fleet: str
    task: Task
    schemas: dict[str, Schema]
    split_fingerprint: str
    libraries: dict[str, str]
    files: tuple[ShardFile, ...]
    index: IndexFile
    pooled: ModelRef | None
    run_id: str

    def to_bytes(self) -> bytes:
        """Return the manifest as it is stored; equal manifests give equal bytes."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1, ensure_ascii=True) + "\n").encode()

    @property
    def sha256(self) -> str:
        """The bundle's hash: it covers every file, since the manifest holds their hashes."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def folder_name(sha256: str) -> str:
    """Return the folder name of the bundle with this hash, below ``FleetHome.bundles``."""
    return sha256[:16]
