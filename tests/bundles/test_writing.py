"""What a bundle holds, and that the same models give the same bytes."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.bundles.format import FORMAT, MIXED
from modelfleet.bundles.modelfile import write_shard
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.errors import BundleError, SpecError
from modelfleet.spec.fleet import Task

ODD = ["../x", "", "a/b", "😀", "x" * 10_000, "nul\0", "con", " lead"]


def everything(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_bundle_holds_what_was_written(constant, tmp_path):
    bundle = constant.write_bundle(tmp_path / "b", {3: {"b": 2.0, "a": 1.0}, 0: {"c": 3.0}}, pooled=9.0)
    again = Bundle.open(tmp_path / "b", sha256=bundle.sha256)
    assert again.manifest.format == FORMAT
    assert again.entities == {"a", "b", "c"}
    assert again.index["entity"].to_pylist() == ["a", "b", "c"]
    assert again.index["row"].to_pylist() == [0, 1, 0]
    assert again.index["rows_train"].to_pylist() == [10, 10, 10]
    assert again.index["run_id"].to_pylist() == ["run-1"] * 3
    assert again.pooled()["value"].to_pylist() == [9.0]
    assert again.models(again.index["path"][0].as_py())["value"].to_pylist() == [1.0, 2.0]
    assert len(again.manifest.files) == 3
    assert set(again.manifest.libraries) == {"numpy", "pyarrow"}


def test_entities_are_data_never_paths(constant, tmp_path):
    bundle = constant.write_bundle(tmp_path / "b", {0: {e: float(i) for i, e in enumerate(ODD)}})
    assert bundle.entities == set(ODD)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b"]
    assert all(len(name) < 100 for name in everything(tmp_path / "b"))


def test_files_grow_with_shards_not_with_entities(constant, tmp_path):
    bundle = constant.write_bundle(tmp_path / "b", {s: {f"{s}-{i}": 1.0 for i in range(500)} for s in range(4)})
    assert len(everything(bundle.path)) == 4 + 2


def test_same_models_same_bytes_whatever_the_order_or_chunks(constant, tmp_path):
    values = {f"e{i}": float(i % 7) for i in range(300)}
    backwards = dict(reversed(values.items()))
    one = constant.write_bundle(tmp_path / "one", {1: values}, pooled=1.0)
    folder = tmp_path / "two"
    writer = BundleWriter(folder, fleet="sales", task=Task.REGRESSION, split_fingerprint="split-1", run_id="run-1")
    writer.set_pooled("constant", {}, constant.schema(), constant.models_of({"": 1.0}))
    models = constant.models_of(backwards)
    chunked = pa.concat_tables([models.slice(0, 100), models.slice(100)])
    writer.add_shard(1, "constant", {}, constant.schema(), chunked)
    two = writer.finish(pa.table({"entity": list(backwards), "loss": [0.5] * 300, "rows_train": [10] * 300}))
    assert everything(one.path) == everything(two.path)
    assert one.sha256 == two.sha256


def test_another_process_writes_the_same_bytes(tmp_path):
    code = """
import sys, pyarrow as pa
from pathlib import Path
from modelfleet.bundles.modelfile import write_shard
from modelfleet.data.schema import Schema, Feature
from modelfleet.families import catalog
import types
class F:
    tasks = frozenset({"regression"})
    def __init__(self, *_): ...
sys.modules["f"] = types.SimpleNamespace(F=F)
catalog.BUILT_IN["f"] = "f:F"
schema = Schema(entity=("s",), target="y", task="regression", classes=(), features=())
t = pa.table({"entity": ["b", "a", None][:2], "v": [None, 2.5], "w": [[1, None], []]})
print(write_shard(Path(sys.argv[1]), 0, "f", {}, schema, t).sha256)
"""
    runs = [
        subprocess.run([sys.executable, "-c", code, tmp_path / n], capture_output=True, text=True, check=True).stdout
        for n in "ab"
    ]
    assert runs[0] == runs[1]


def test_workers_write_shards_and_one_process_finishes(constant, tmp_path):
    files = {}

    def work(shard):
        files[shard] = write_shard(
            tmp_path / "b", shard, "constant", {}, constant.schema(), constant.models_of({f"e{shard}": float(shard)})
        )

    threads = [threading.Thread(target=work, args=(s % 4,)) for s in range(8)]  # each shard twice: a retried bundle
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer = BundleWriter(tmp_path / "b", fleet="sales", task=Task.REGRESSION, split_fingerprint="s", run_id="r")
    for shard in sorted(files):
        writer.include(files[shard], constant.schema())
    bundle = writer.finish()
    assert Bundle.open(bundle.path).entities == {"e0", "e1", "e2", "e3"}
    assert bundle.index["loss"].to_pylist() == [None] * 4
    assert not list(bundle.path.rglob("*.tmp"))


def test_leftovers_of_a_failed_attempt_are_swept(constant, tmp_path):
    write_shard(tmp_path / "b", 7, "constant", {"note": 1}, constant.schema(), constant.models_of({"old": 1.0}))
    bundle = constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}})
    assert sorted(everything(bundle.path)) == sorted(["bundle.json", "index.parquet", bundle.manifest.files[0].path])


def test_metrics_in_the_index_are_float64_and_sorted(constant, tmp_path):
    writer = BundleWriter(tmp_path / "b", fleet="sales", task=Task.REGRESSION, split_fingerprint="s", run_id="r")
    writer.add_shard(0, "constant", {}, constant.schema(), constant.models_of({"a": 1.0, "b": 2.0}))
    bundle = writer.finish(
        pa.table({"entity": ["b", "zz"], "rmse": np.array([1, 2], np.float32), "mae": [3, 4], "path": ["lie", "lie"]})
    )
    assert bundle.index.column_names[-2:] == ["mae", "rmse"]
    assert bundle.index["mae"].to_pylist() == [None, 3.0]
    assert bundle.index.schema.field("rmse").type == pa.float64()
    assert bundle.entities == {"a", "b"}
    assert "lie" not in bundle.index["path"].to_pylist()


def test_a_mixture_of_splits_is_said(constant, tmp_path):
    writer = BundleWriter(tmp_path / "b", fleet="sales", task=Task.REGRESSION, split_fingerprint="new", run_id="r")
    writer.add_shard(0, "constant", {}, constant.schema(), constant.models_of({"a": 1.0, "b": 2.0}))
    bundle = writer.finish(pa.table({"entity": ["a"], "split_fingerprint": ["old"]}))
    assert bundle.manifest.split_fingerprint == MIXED
    assert bundle.index["split_fingerprint"].to_pylist() == ["old", "new"]


def test_an_entity_may_have_one_model_only(constant, tmp_path):
    with pytest.raises(BundleError, match="'a' has two models"):
        write_shard(
            tmp_path, 0, "constant", {}, constant.schema(), pa.concat_tables([constant.models_of({"a": 1.0})] * 2)
        )
    with pytest.raises(BundleError, match="'a' has models in 2 files"):
        constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}, 1: {"a": 2.0}})


def test_tables_that_cannot_be_stored_are_refused(constant, tmp_path):
    with pytest.raises(BundleError, match="first column must be 'entity'"):
        write_shard(tmp_path, 0, "constant", {}, constant.schema(), pa.table({"value": [1.0]}))
    with pytest.raises(BundleError, match="1 models have no entity"):
        models = pa.table({"entity": pa.array([None], pa.string()), "value": [1.0]})
        write_shard(tmp_path, 0, "constant", {}, constant.schema(), models)
    with pytest.raises(BundleError, match="extension type"):
        ids = pa.array([b"0123456789abcdef"], pa.uuid())
        write_shard(tmp_path, 0, "constant", {}, constant.schema(), pa.table({"entity": ["a"], "id": ids}))
    with pytest.raises(BundleError, match="2 rows; expected 1"):
        BundleWriter(tmp_path, fleet="s", task=Task.REGRESSION, split_fingerprint="s", run_id="r").set_pooled(
            "constant", {}, constant.schema(), constant.models_of({"a": 1.0, "b": 1.0})
        )
    with pytest.raises(SpecError, match="no family 'konstant'; did you mean 'constant'"):
        write_shard(tmp_path, 0, "konstant", {}, constant.schema(), constant.models_of({"a": 1.0}))
    assert not list(tmp_path.rglob("*.arrow"))
