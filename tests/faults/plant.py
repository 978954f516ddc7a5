"""A fleet of 200 entities whose bundles say by every prediction which of them computed it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.schema import Feature, Schema
from modelfleet.home import FleetHome, Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef, Release
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import FleetSpec, Task

FLEET = "plant"
ENTITIES = 200
SHARDS = 4
SCHEMA = Schema(
    entity=("machine",),
    target="y",
    task=Task.REGRESSION,
    classes=(),
    features=(Feature(name="x", type=ColumnType.NUMBER),),
)


def machine(number: int) -> str:
    """Return the key of an entity."""
    return f"m{number % ENTITIES:04d}"


@dataclass
class Plant:
    """The fleet on disk. Every model of a bundle adds the same whole number to ``x``, one that no other bundle adds.

    Attributes:
        home: The root folder.
        adds: For each generation, what its models add.
    """

    home: Home
    adds: dict[int, float] = field(default_factory=dict)

    @property
    def folders(self) -> FleetHome:
        return self.home.fleet(FLEET)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folders.releases)

    def spec(self, **serving: Any) -> FleetSpec:
        document: dict[str, Any] = {"fleet": FLEET, "entity": ["machine"], "task": "regression"}
        document |= {"data": {"source": "unused.csv", "target": "y"}, "serving": serving}
        return FleetSpec.model_validate(document)

    def bundle(self, add: float, *, tempers: Mapping[str, str] | None = None, schema: Schema = SCHEMA) -> Bundle:
        """Write a bundle.

        Args:
            add: What its models add.
            tempers: How the models of some entities misbehave.
            schema: What its rows are encoded by.
        """
        writer = BundleWriter(
            self.folders.bundles / uuid.uuid4().hex,
            fleet=FLEET,
            task=schema.task,
            split_fingerprint="split",
            run_id=f"run-{add}",
        )
        keys = [machine(number) for number in range(ENTITIES)]
        for shard in range(SHARDS):
            writer.add_shard(shard, "poison", {}, schema, _models(keys[shard::SHARDS], add, tempers or {}))
        writer.set_pooled("poison", {}, schema, _models([""], add, {}))
        listed = [key for shard in range(SHARDS) for key in keys[shard::SHARDS]]
        rows = pa.array([40] * ENTITIES, pa.int64())
        return writer.finish(pa.table({"entity": listed, "rows_train": rows, "loss": [0.1] * ENTITIES}))

    def release(
        self,
        bundle: Bundle | None = None,
        *,
        add: float | None = None,
        uri: str | None = None,
        tempers: Mapping[str, str] | None = None,
        **changes: Any,
    ) -> Release:
        """Publish a bundle.

        Args:
            bundle: Which; None makes a new one.
            add: What its models add.
            uri: Where it is said to be; None means where it is.
            tempers: As in ``bundle``.
            changes: Arguments of ``Ledger.publish``.
        """
        add = 1000.0 * (self.ledger.newest() + 1) if add is None else add
        bundle = bundle or self.bundle(add, tempers=tempers)
        ref = BundleRef(uri=uri or str(bundle.path), sha256=bundle.sha256)
        release = self.ledger.publish(**{"fleet": FLEET, "bundle": ref, "reason": "promote"} | changes)
        self.adds[release.generation] = add
        return release


def _models(keys: list[str], add: float, tempers: Mapping[str, str]) -> pa.Table:
    return pa.table(
        {
            "entity": pa.array(keys, pa.string()),
            "value": pa.array([add] * len(keys), pa.float64()),
            "temper": pa.array([tempers.get(key, "") for key in keys], pa.string()),
        }
    )
