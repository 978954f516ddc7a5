from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.data.schema import Feature, Schema
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.run import Run
from modelfleet.spec.file import parse_spec

IN_PROCESS = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--direct_num_workers=1"]
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}
COLORS = ("blue", "green", "red")


@pytest.fixture
def in_process():
    return IN_PROCESS


@pytest.fixture
def make_spec():
    def make(task="binary", engine="local", model=None, shards=3, **sections):
        return parse_spec(
            {
                "fleet": "shops",
                "entity": "shop",
                "task": task,
                "engine": engine,
                "data": {"source": "unused.csv", "target": "sold"},
                "model": {
                    **({} if "candidates" in (model or {}) else {"family": "tree"}),
                    "min_rows": 20,
                    **(model or {}),
                },
                "resources": {"shards": shards, "threads": 2},
                **sections,
            },
            origin="test",
        )

    return make


@pytest.fixture
def begin_run(tmp_path):
    """Begin a run and leave in its folder what the steps prepare and validate would have left."""

    def begin(
        spec, sizes, *, seed=0, quarantine=None, entities=None, split="split-1", run_id=None, classes=None, rows=_rows
    ):
        run = Run.open(Home(tmp_path / "home"), spec, run_id=run_id or f"run-{seed}", entities=entities)
        schema = Schema(
            entity=("shop",),
            target="sold",
            task=spec.task,
            classes=classes or CLASSES[spec.task],
            features=(
                Feature(name="color", type="category", levels=COLORS),
                Feature(name="price", type="number"),
                Feature(name="size", type="integer"),
            ),
        )
        (run.folder / "schema.json").write_text(schema.model_dump_json())
        run.prepared.mkdir(exist_ok=True)
        profile = []
        for shard in range(3):
            here = [name for place, name in enumerate(sorted(sizes)) if place % 3 == shard]
            tables = [rows(name, sizes[name], schema, seed) for name in here]
            if not tables:
                continue
            table = pa.concat_tables(tables)
            pq.write_table(table, run.prepared / f"shard-{shard:05d}.parquet")
            for name, own in zip(here, tables, strict=True):
                parts = np.bincount(own["__part"].to_numpy(), minlength=3)
                profile.append((name, shard, *parts.tolist(), 0.2))
        names = ("entity", "shard", "rows_train", "rows_validation", "rows_holdout", "holdout_threshold")
        pq.write_table(
            pa.table({name: list(column) for name, column in zip(names, zip(*profile, strict=True), strict=True)}),
            run.folder / "profile.parquet",
        )
        run.write("prepare", {"split_fingerprint": split})
        run.write("quarantine", quarantine or {})
        return run

    return begin


def _rows(entity, n, schema, seed):
    """An entity's rows: which features matter depends on its name, so that models of different entities differ."""
    rng = np.random.default_rng([seed, *entity.encode()])
    color = rng.integers(0, 3, n)
    price, size = np.round(rng.normal(10, 3, n), 2), rng.integers(1, 50, n)
    sign = 1 if len(entity) % 2 else -1
    signal = sign * (price - 10) / 3 + (color == 1) + rng.normal(0, 0.5, n)
    target = signal
    if schema.classes:
        target = np.clip(np.floor(signal + len(schema.classes) / 2), 0, len(schema.classes) - 1)
    price[rng.random(n) < 0.05] = np.nan
    indices = pa.array(color.astype(np.int32), mask=rng.random(n) < 0.05)
    part = rng.choice([0, 0, 0, 0, 0, 0, 0, 1, 2, 2], n).astype(np.int8)
    return pa.table(
        {
            "color": pa.DictionaryArray.from_arrays(indices, pa.array(COLORS)),
            "price": pa.array(price, from_pandas=True),
            "size": pa.array(size, pa.int64()),
            "__entity": pa.array([entity] * n),
            "__part": pa.array(part),
            "__row": pa.array(rng.integers(0, 2**63, n).astype(np.uint64)),
            "__target": pa.array(target.astype(np.float64)),
        }
    )


@pytest.fixture
def publish():
    """Make a run's candidate the champion of the runs that begin later."""

    def do(run):
        bundle = Bundle.open(run.candidate)
        ref = BundleRef(uri=str(bundle.path), sha256=bundle.sha256)
        return Ledger(run.fleet_home.releases).publish(bundle=ref, reason="promote")

    return do


@pytest.fixture
def evaluation():
    def read(run):
        table = pq.read_table(run.folder / "evaluation.parquet")
        return {(row["kind"], row["entity"]): row for row in table.to_pylist()}

    return read


@pytest.fixture
def report():
    return lambda run: json.loads((run.folder / "train.json").read_text())
