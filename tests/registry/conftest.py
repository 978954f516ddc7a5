from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family
from modelfleet.registry.base import DatasetRef, RunReport
from modelfleet.releases.manifest import BundleRef, Release
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task

SCHEMA = Schema(
    entity=("store",),
    target="sold",
    task=Task.BINARY,
    classes=("no", "yes"),
    features=(
        Feature(name="price", type=ColumnType.NUMBER),
        Feature(name="day", type=ColumnType.CATEGORY, levels=("mon", "sun")),
        Feature(name="crowd", type=ColumnType.INTEGER),
    ),
)


def make_bundle(folder, entities=("a", "b"), *, seed=0, family="tree", parameters=None, fleet="sales"):
    """Write a bundle of real models, each entity's fitted on its own random rows, and a pooled one."""
    import numpy as np

    rng = np.random.default_rng(seed)
    n = 40
    writer = BundleWriter(folder, fleet=fleet, task=Task.BINARY, split_fingerprint="s", run_id=f"run-{seed}")
    total = n * len(entities)
    rows = EncodedRows(
        rng.integers(0, 3, (total, 1)).astype(np.int32),
        np.column_stack([rng.normal(size=total), rng.integers(0, 9, total).astype(float)]),
    )
    target = (rows.numbers[:, 0] + np.repeat(rng.normal(size=len(entities)), n) > 0).astype(float)
    target[::n], target[1::n] = 0.0, 1.0
    model = make_family(family, SCHEMA, parameters or {})
    bounds = np.arange(0, total + 1, n, dtype=np.int64)
    fitted = model.fit(TrainingShard(tuple(sorted(entities)), bounds, rows, target))
    assert not fitted.failures
    writer.add_shard(0, family, parameters or {}, SCHEMA, fitted.models)
    pooled = model.fit(TrainingShard(("",), np.array([0, total], dtype=np.int64), rows, target))
    writer.set_pooled(family, parameters or {}, SCHEMA, pooled.models)
    return writer.finish()


def make_report(run_id="run-1", *, fleet="sales", entities=("a", "b"), gate="accepted"):
    outcomes = ["promote", "keep", "undecidable", "pooled", "retire"]
    decisions = pa.table(
        {
            "entity": [*entities, ""],
            "kind": ["entity"] * len(entities) + ["pooled"],
            "outcome": [outcomes[i % len(outcomes)] for i in range(len(entities))] + ["promote"],
            "sentence": ["because"] * (len(entities) + 1),
            "candidate_loss": [0.1 + 0.001 * i for i in range(len(entities))] + [0.2],
            "reference_loss": [0.2] * len(entities) + [0.3],
            "difference": [-0.1] * (len(entities) + 1),
            "standard_error": [0.01] * (len(entities) + 1),
        }
    )
    return RunReport(
        run_id=run_id,
        fleet=fleet,
        params={"family": "tree", "parameters.max_depth": "4", "overrides": "{}" * 4000},
        metrics={"promoted": 1.0, "loss_candidate": 0.1, "candidate_accuracy_p50": 0.8},
        tags={"fleet": fleet, "gate": gate, "run_id": run_id},
        note="The gate says **accepted**.",
        evaluation=pa.table({"entity": list(entities), "candidate_loss": [0.1] * len(entities)}),
        decisions=decisions,
        tables={"candidates": pa.table({"entity": list(entities), "candidate": [1] * len(entities)})},
        dataset=DatasetRef("sales", "/data/sales.csv", "abc-80", {"price": "number", "day": "category"}),
    )


def release_of(generation, version):
    return Release(
        fleet="sales",
        generation=generation,
        bundle=BundleRef(uri="/b", sha256=hashlib.sha256(b"x").hexdigest()),
        model_version=version,
        reason="promote",
        nonce="n",
        created_at=datetime.now(UTC),
    )


@pytest.fixture(scope="session")
def bundle_of():
    return make_bundle


@pytest.fixture(scope="session")
def report_of():
    return make_report


@pytest.fixture(scope="session")
def release():
    return release_of
