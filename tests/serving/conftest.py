from __future__ import annotations

import importlib.util
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.schema import Feature, Schema
from modelfleet.families import catalog
from modelfleet.home import FleetHome, Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef, Release
from modelfleet.serving.lease import LeaseFolder
from modelfleet.serving.loading import LoadedFleet, load_bundle
from modelfleet.serving.request import Request, parse_request
from modelfleet.serving.resident import ResidentFleet
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task

X = Feature(name="x", type=ColumnType.NUMBER)
COLOUR = Feature(name="colour", type=ColumnType.CATEGORY, levels=("blue", "red"))

MIXED = (
    X,
    Feature(name="colour", type=ColumnType.CATEGORY, levels=("1", "blue", "red", "true")),
    Feature(name="count", type=ColumnType.INTEGER),
    Feature(name="open", type=ColumnType.BOOLEAN),
)


def make_schema(
    task: Task = Task.REGRESSION, classes: tuple[str, ...] = (), features: tuple[Feature, ...] = (X, COLOUR)
) -> Schema:
    return Schema(entity=("store",), target="y", task=task, classes=classes, features=features, missing=("?",))


def models_of(values: Mapping[str, float]) -> pa.Table:
    return pa.table({"entity": pa.array(values, pa.string()), "value": pa.array(values.values(), pa.float64())})


@pytest.fixture(scope="session")
def fussy() -> Any:
    if "fussy_family" not in sys.modules:
        spec = importlib.util.spec_from_file_location("fussy_family", Path(__file__).parent / "fussy_family.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        sys.modules["fussy_family"] = module
        spec.loader.exec_module(module)
    return sys.modules["fussy_family"]


@pytest.fixture(autouse=True)
def families(fussy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.BUILT_IN, "fussy", "fussy_family:FussyFamily")


@dataclass
class Shop:
    """A fleet ``sales`` on disk, of entities ``a``, ``b`` and ``c`` in two shards and a pooled model."""

    home: Home
    made: int = 0
    schema = staticmethod(make_schema)

    @property
    def folders(self) -> FleetHome:
        return self.home.fleet("sales")

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folders.releases)

    @property
    def leases(self) -> LeaseFolder:
        return LeaseFolder(self.folders.leases)

    def bundle(
        self,
        add: float = 0.0,
        *,
        schema: Schema | None = None,
        shards: Mapping[int, Mapping[str, float]] | None = None,
        pooled: float | None = 1000.0,
        fleet: str = "sales",
        schemas: Mapping[int, Schema] | None = None,
    ) -> Bundle:
        """Write a bundle whose models add ``add`` more than 100 for a, 200 for b, 300 for c, 1000 for the rest."""
        schema = schema or make_schema()
        shards = shards if shards is not None else {0: {"a": 100.0, "b": 200.0}, 1: {"c": 300.0}}
        self.made += 1
        writer = BundleWriter(
            self.folders.bundles / f"bundle-{self.made}",
            fleet=fleet,
            task=schema.task,
            split_fingerprint="split",
            run_id=f"run-{self.made}",
        )
        for number, values in shards.items():
            of = (schemas or {}).get(number, schema)
            writer.add_shard(number, "fussy", {}, of, models_of({e: v + add for e, v in values.items()}))
        if pooled is not None:
            writer.set_pooled("fussy", {}, schema, models_of({"": pooled + add}))
        entities = [entity for values in shards.values() for entity in values]
        return writer.finish(
            pa.table(
                {
                    "entity": pa.array(entities, pa.string()),
                    "rows_train": pa.array([10] * len(entities), pa.int64()),
                    "loss": pa.array([0.5] * len(entities), pa.float64()),
                }
            )
        )

    def release(self, bundle: Bundle, **changes: Any) -> Release:
        ref = BundleRef(uri=str(bundle.path), sha256=bundle.sha256)
        return self.ledger.publish(**{"fleet": "sales", "bundle": ref, "reason": "promote"} | changes)

    def release_of(self, **settings: Any) -> Release:
        return self.release(self.bundle(**settings))

    def resident(self, **changes: Any) -> ResidentFleet:
        settings: dict[str, Any] = {"fleet": "sales", "process": "p-1", "lease_seconds": 3600.0} | changes
        return ResidentFleet(self.ledger, self.leases, **settings)

    @staticmethod
    def request(request_id: str = "r", **row: Any) -> Request:
        """Return a request of store ``a`` with ``x`` 1, except for what ``row`` says; ``...`` leaves a column out."""
        columns = {"store": "a", "x": 1.0, "colour": "red"} | row
        columns = {name: value for name, value in columns.items() if value is not ...}
        return parse_request(json.dumps({"request_id": request_id, "row": columns}))

    @staticmethod
    def until(condition: Callable[[], bool], seconds: float = 30) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            threading.Event().wait(0.002)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(Home(tmp_path))


@pytest.fixture
def mixed(shop: Shop) -> LoadedFleet:
    """A loaded fleet with a feature of every type."""
    bundle = shop.bundle(schema=make_schema(features=MIXED), shards={0: {"a": 1.0, "b": 2.0}, 1: {"c": 3.0}})
    return load_bundle(bundle, fleet="sales", generation=7)


@pytest.fixture
def resident(shop: Shop) -> Iterator[Callable[..., ResidentFleet]]:
    """Make started resident fleets that are closed at the end."""
    made: list[ResidentFleet] = []

    def make(**changes: Any) -> ResidentFleet:
        made.append(shop.resident(**changes))
        made[-1].start()
        return made[-1]

    yield make
    for one in made:
        one.close()
