"""The fleet that is served: shops, each with a tree of its own, whose every prediction tells the bundle it came from.

A model of bundle ``m`` predicts a number from ``1000 * m`` to ``1000 * m + 900``. So an answer that names one
generation and was computed by another one's models, or by a half-loaded bundle, shows.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.families.base import TrainingShard
from modelfleet.families.tree import TreeFamily
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import FleetSpec, Task

ENTITY = "shop"
FEATURES = tuple(f"f{i}" for i in range(8))
ROWS = 28
"""Rows that each shop's tree is grown on, to its end: about as large a model as 100 rows of the census make."""
MARK, LARGEST = 1000.0, 900.0
PARAMETERS: dict[str, object] = {"max_depth": None, "min_samples_leaf": 1}
SHARDS = 8
"""As a spec has by default."""
PART = 1000
"""Models grown at once; in a fleet larger than ``DISTINCT`` the same ones serve again under other names."""
DISTINCT = 20_000

SCHEMA = Schema(
    entity=(ENTITY,),
    target="y",
    task=Task.REGRESSION,
    classes=(),
    features=tuple(Feature(name=name, type=ColumnType.NUMBER) for name in FEATURES),
)


def shop(number: int) -> str:
    """Return the name of a shop."""
    return f"shop-{number:07d}"


def training_rows(first: int, shops: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rows of some shops, shop after shop: (shops * ROWS, 8) inputs, and targets from 0 to 900."""
    random = np.random.default_rng(first)
    rows = random.random((shops * ROWS, len(FEATURES)))
    weights = random.random((shops, len(FEATURES))) / len(FEATURES)
    target = np.einsum("srf,sf->sr", rows.reshape(shops, ROWS, -1), weights).ravel()
    return rows, target * LARGEST


def write_bundle(folder: Path, fleet: str, shops: int, mark: int, *, shards: int = SHARDS) -> Bundle:
    """Write a bundle with a model for each shop.

    Args:
        folder: Where bundles lie; the bundle gets a new folder in it.
        fleet: Name of the fleet.
        shops: How many.
        mark: Told by every prediction; see ``mark_of``.
        shards: Number of files.
    """
    writer = BundleWriter(
        folder / uuid.uuid4().hex, fleet=fleet, task=SCHEMA.task, split_fingerprint="split", run_id=f"run-{mark}"
    )
    parts = list(_parts(shops, mark, size=min(PART, -(-shops // shards))))
    of_shard: dict[int, list[pa.Table]] = {}
    for number, part in enumerate(parts):
        of_shard.setdefault(number * shards // len(parts), []).append(part)
    for shard, tables in of_shard.items():
        writer.add_shard(shard, "tree", PARAMETERS, SCHEMA, pa.concat_tables(tables))
    rows, target = training_rows(0, 1)
    one = TrainingShard(("pooled",), np.array([0, ROWS]), EncodedRows(_no_codes(rows), rows), target + MARK * mark)
    writer.set_pooled("tree", PARAMETERS, SCHEMA, TreeFamily(SCHEMA, PARAMETERS).fit(one).models)
    return writer.finish()


def mark_of(predictions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the mark of the bundle that each prediction came from."""
    return np.floor(predictions / MARK).astype(np.int64)


def damage(bundle: Bundle, way: int) -> None:
    """Damage a bundle's files in one of three ways: a byte changed, a file cut short, a file gone."""
    file = bundle.path / bundle.manifest.files[way % len(bundle.manifest.files)].path
    data = file.read_bytes()
    if way % 3 == 0:
        file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif way % 3 == 1:
        file.write_bytes(data[: len(data) // 2])
    else:
        file.unlink()


def shops_spec(fleet: str, **serving: object) -> FleetSpec:
    """Return the fleet's spec.

    Args:
        fleet: Its name.
        serving: Fields of its section ``serving``.
    """
    document = {
        "fleet": fleet,
        "entity": [ENTITY],
        "task": "regression",
        "data": {"source": "unused.csv", "target": "y"},
        "serving": serving,
    }
    return FleetSpec.model_validate(document)


def _parts(shops: int, mark: int, size: int) -> Iterator[pa.Table]:
    family = TreeFamily(SCHEMA, PARAMETERS)
    grown: dict[int, pa.Table] = {}
    for first in range(0, shops, size):
        count = min(size, shops - first)
        names = tuple(shop(first + i) for i in range(count))
        seed = first % DISTINCT
        if seed not in grown or count != size:
            rows, target = training_rows(seed, count)
            bounds = np.arange(0, (count + 1) * ROWS, ROWS)
            shard = TrainingShard(names, bounds, EncodedRows(_no_codes(rows), rows), target + MARK * mark)
            grown[seed] = family.fit(shard).models
        yield grown[seed].set_column(0, "entity", pa.array(names))


def _no_codes(rows: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.zeros((len(rows), 0), np.int32)
