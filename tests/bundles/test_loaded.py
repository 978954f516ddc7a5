"""Predicting with a bundle in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.errors import BundleError
from modelfleet.spec.fleet import Task


def test_each_row_by_its_entity_or_the_pooled_model(constant, tmp_path):
    bundle = constant.write_bundle(tmp_path / "b", {0: {"a": 1.0, "b": 2.0}, 5: {"c": 3.0}}, pooled=9.0)
    entities = ["c", "zz", "a", "b", "", "a"]
    predicted = LoadedBundle(bundle).predict_encoded(constant.encode(6), entities)
    assert predicted.values.tolist() == [[3.0], [9.0], [1.0], [2.0], [9.0], [1.0]]
    assert predicted.served_by.tolist() == ["entity", "pooled", "entity", "entity", "pooled", "entity"]
    pooled = LoadedBundle(bundle).predict_pooled(constant.encode(2), 2)
    assert pooled.values.tolist() == [[9.0], [9.0]]
    assert pooled.served_by.tolist() == ["pooled"] * 2


def test_without_a_pooled_model_an_unknown_entity_gets_nothing(constant, tmp_path):
    loaded = LoadedBundle(constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}}))
    predicted = loaded.predict_encoded(constant.encode(2), ["zz", "a"])
    assert np.isnan(predicted.values[0, 0])
    assert predicted.served_by.tolist() == ["none", "entity"]
    assert loaded.predict_pooled(constant.encode(1), 1).served_by.tolist() == ["none"]


def test_no_rows(constant, tmp_path):
    loaded = LoadedBundle(constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}}))
    assert loaded.predict_encoded(constant.encode(0), []).values.shape == (0, 1)


def test_a_bundle_of_the_pooled_model_alone(constant, tmp_path):
    loaded = LoadedBundle(constant.write_bundle(tmp_path / "b", {}, pooled=4.0))
    assert loaded.predict_encoded(constant.encode(1), ["a"]).values.tolist() == [[4.0]]
    assert not loaded.entities


def test_files_of_equal_hash_are_not_loaded_again(constant, tmp_path, monkeypatch):
    one = LoadedBundle(constant.write_bundle(tmp_path / "1", {0: {"a": 1.0}, 1: {"b": 2.0}}, pooled=9.0))
    later = constant.write_bundle(tmp_path / "2", {0: {"a": 1.0}, 1: {"b": 5.0}}, pooled=9.0)
    read = []
    original = type(later).models
    monkeypatch.setattr(type(later), "models", lambda self, path: read.append(path) or original(self, path))
    two = LoadedBundle(later, memory=one.memory)
    assert two.reused == 2
    assert len(read) == 1
    assert two.predict_encoded(constant.encode(3), ["a", "b", "?"]).values.ravel().tolist() == [1.0, 5.0, 9.0]


def test_each_file_is_read_when_a_row_needs_it_first(constant, tmp_path, monkeypatch):
    shards = {0: {"a": 1.0, "b": 2.0}, 1: {"c": 3.0}, 2: {"d": 4.0}}
    bundle = constant.write_bundle(tmp_path / "b", shards, pooled=9.0)
    read = []
    original = type(bundle).models
    monkeypatch.setattr(type(bundle), "models", lambda self, path: read.append(path) or original(self, path))
    loaded = LoadedBundle(bundle, lazy=True)
    assert set(loaded.entities) == {"a", "b", "c", "d"}
    assert loaded.schemas_of(loaded.slots_of(["c"]))[1].tolist() == [0]
    assert read == []
    for entity, value in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("c", 3.0), ("new", 9.0)):
        assert loaded.predict_encoded(constant.encode(1), [entity]).values.tolist() == [[value]]
    assert [Path(path).name[:5] for path in read[:2]] == ["00001", "00000"]
    assert len(read) == 3
    again = LoadedBundle(bundle, memory=loaded.memory, lazy=True)
    assert again.predict_encoded(constant.encode(2), ["c", "d"]).values.ravel().tolist() == [3.0, 4.0]
    assert (again.reused, len(read)) == (1, 4)


def test_a_damaged_file_is_refused_when_it_is_needed(constant, tmp_path):
    bundle = constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}, 1: {"c": 3.0}}, pooled=9.0)
    broken = bundle.path / next(f.path for f in bundle.manifest.files if f.shard == 1)
    broken.write_bytes(b"x" * len(broken.read_bytes()))
    loaded = LoadedBundle(bundle, lazy=True)
    assert loaded.predict_encoded(constant.encode(1), ["a"]).values.tolist() == [[1.0]]
    with pytest.raises(BundleError, match=r"sha256 is .* expected .*: altered"):
        loaded.predict_encoded(constant.encode(2), ["a", "c"])


@settings(max_examples=25)
@given(st.lists(st.sampled_from([*"abcdefgh", "new"])))
def test_rows_of_any_mixture_get_their_own_models_answers(constant, entities):
    values = {entity: float(i) for i, entity in enumerate("abcdefgh", start=1)}
    with TemporaryDirectory() as folder:
        shards = {n: {e: v for e, v in values.items() if int(v) % 3 == n} for n in range(3)}
        loaded = LoadedBundle(constant.write_bundle(Path(folder) / "b", shards, pooled=99.0))
        predicted = loaded.predict_encoded(constant.encode(len(entities)), entities)
    assert predicted.values.ravel().tolist() == [values.get(entity, 99.0) for entity in entities]
    assert predicted.served_by.tolist() == ["entity" if entity in values else "pooled" for entity in entities]


def test_only_the_files_of_some_entities(constant, tmp_path):
    bundle = constant.write_bundle(tmp_path / "b", {0: {"a": 1.0, "b": 2.0}, 1: {"c": 3.0}}, pooled=9.0)
    broken = bundle.path / next(f.path for f in bundle.manifest.files if f.shard == 1)
    broken.write_bytes(b"never read")
    loaded = LoadedBundle(bundle, entities={"a"})
    assert set(loaded.entities) == {"a"}
    assert loaded.predict_encoded(constant.encode(2), ["a", "c"]).values.ravel().tolist() == [1.0, 9.0]


def test_schemas_that_know_different_classes(constant, tmp_path):
    """A class that appears later: older models give it no probability."""
    writer = BundleWriter(tmp_path / "b", fleet="f", task=Task.MULTICLASS, split_fingerprint="s", run_id="r")
    old = constant.schema(Task.MULTICLASS, ("b", "c"))
    new = constant.schema(Task.MULTICLASS, ("a", "b", "c"))
    writer.add_shard(0, "constant", {}, old, constant.models_of({"old": 0.75}))
    writer.add_shard(0, "constant", {}, new, constant.models_of({"new": 0.5}))
    loaded = LoadedBundle(writer.finish())
    asked = []

    def encode(schema):
        asked.append(schema.fingerprint)
        return constant.encode(3)(schema)

    predicted = loaded.predict_encoded(encode, ["new", "old", "?"])
    assert loaded.classes == ("a", "b", "c")
    assert predicted.values[:2].tolist() == [[0.25, 0.25, 0.5], [0.0, 0.25, 0.75]]
    assert np.isnan(predicted.values[2]).all()
    assert sorted(asked) == sorted([old.fingerprint, new.fingerprint])


def test_a_family_that_returns_the_wrong_shape(constant, tmp_path, monkeypatch):
    loaded = LoadedBundle(constant.write_bundle(tmp_path / "b", {0: {"a": 1.0}}))
    monkeypatch.setattr(constant.ConstantPredictor, "predict", lambda self, rows, model: np.zeros((len(model), 3)))
    with pytest.raises(BundleError, match=r"returned predictions of shape \(1, 3\), expected \(1, 1\)"):
        loaded.predict_encoded(constant.encode(1), ["a"])
