"""Merging: accepted models come from the candidate, all others from the champion, none is lost."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.bundles.format import MIXED, folder_name
from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.merge import merge
from modelfleet.bundles.reader import Bundle
from modelfleet.errors import BundleError
from modelfleet.spec.fleet import Task

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "../x", "", "😀"])
FLEETS = st.dictionaries(NAMES, st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=8)


def write(constant, folder, models, pooled, **more):
    shards = {}
    for entity, (shard, value) in models.items():
        shards.setdefault(shard, {})[entity] = float(value)
    return constant.write_bundle(folder, shards, pooled=pooled, **more)


@settings(max_examples=60)
@given(data=st.data())
def test_merging(constant, data):
    old = data.draw(FLEETS, "champion")
    new = data.draw(FLEETS, "candidate")
    accepted = data.draw(st.sets(st.sampled_from(sorted(new)) if new else st.nothing()), "accepted")
    retired = data.draw(st.sets(NAMES), "retired") - accepted
    champion_pooled = data.draw(st.none() | st.just(100.0))
    candidate_pooled = data.draw(st.none() | st.just(200.0))
    pooled_accepted = candidate_pooled is not None and data.draw(st.booleans())
    other = data.draw(st.booleans(), "another schema")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        champion = write(constant, root / "old", old, champion_pooled, run_id="old")
        schema = constant.schema(feature="z" if other else "x")
        candidate = write(constant, root / "new", new, candidate_pooled, run_id="new", of=schema)
        arguments = dict(
            champion=champion, candidate=candidate, accepted=accepted, retired=retired,
            pooled_accepted=pooled_accepted, run_id="merge",
        )  # fmt: skip
        expected = {e: 10.0 * v for e, (_, v) in old.items() if e not in retired} | {
            e: 10.0 * new[e][1] for e in accepted
        }
        pooled = candidate_pooled if pooled_accepted else champion_pooled
        if not expected and pooled is None:
            with pytest.raises(BundleError, match="no model would serve"):
                merge(root / "bundles", **arguments)
            return
        merged = merge(root / "bundles", **arguments)
        reopened = Bundle.open(merged.path, sha256=merged.sha256)
        assert reopened.entities == set(expected)
        asked = sorted({*old, *new, "nobody"})
        encode = constant.encode(len(asked))
        values = LoadedBundle(reopened).predict_encoded(encode, asked).values.ravel().tolist()
        theirs = LoadedBundle(candidate).predict_encoded(encode, asked).values.ravel().tolist()
        ours = LoadedBundle(champion).predict_encoded(encode, asked).values.ravel().tolist()
        for entity, value, of_candidate, of_champion in zip(asked, values, theirs, ours, strict=True):
            if entity in accepted:
                assert value == of_candidate
            elif entity in expected:
                assert value == of_champion
            elif pooled is None:
                assert value != value
            else:
                assert value == pooled
        again = merge(root / "bundles", **arguments)
        assert again.path == merged.path
        if merged.path != champion.path:
            assert [p.name for p in (root / "bundles").iterdir()] == [folder_name(merged.sha256)]
            origins = dict(zip(reopened.index["entity"].to_pylist(), reopened.index["run_id"].to_pylist(), strict=True))
            assert origins == {e: "new" if e in accepted else "old" for e in expected}


def test_untouched_shards_keep_their_bytes(constant, tmp_path):
    champion = constant.write_bundle(tmp_path / "old", {0: {"a": 1.0}, 1: {"b": 2.0, "c": 3.0}}, pooled=9.0)
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 4.0}, 1: {"b": 5.0, "c": 6.0}}, run_id="run-2")
    merged = merge(tmp_path, champion=champion, candidate=candidate, accepted=["b"], run_id="run-2")
    same = {f.sha256 for f in champion.manifest.files} & {f.sha256 for f in merged.manifest.files}
    assert len(same) == 2
    before = LoadedBundle(champion)
    assert LoadedBundle(merged, memory=before.memory).reused == 2
    assert merged.manifest.pooled.run_id == "run-1"


def test_nothing_new_gives_the_champion_itself(constant, tmp_path):
    champion = constant.write_bundle(tmp_path / "old", {0: {"a": 1.0}, 1: {"b": 2.0}}, pooled=9.0)
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 1.0}, 1: {"b": 5.0}}, pooled=9.0, run_id="run-2")
    arguments = {"champion": champion, "candidate": candidate, "run_id": "run-2"}
    assert merge(tmp_path / "bundles", accepted=[], **arguments) is champion
    assert merge(tmp_path / "bundles", accepted=["a"], pooled_accepted=True, **arguments) is champion
    assert merge(tmp_path / "bundles", accepted=["b"], **arguments) is not champion


def test_the_first_bundle(constant, tmp_path):
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 1.0, "b": 2.0}}, pooled=9.0)
    merged = merge(tmp_path, champion=None, candidate=candidate, accepted=["a"], pooled_accepted=True, run_id="r")
    assert merged.entities == {"a"}
    assert merged.path == tmp_path / folder_name(merged.sha256)


def test_splits_are_kept_per_entity(constant, tmp_path):
    champion = constant.write_bundle(tmp_path / "old", {0: {"a": 1.0, "b": 1.0}}, split="old")
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 2.0, "b": 2.0}}, split="new")
    merged = merge(tmp_path, champion=champion, candidate=candidate, accepted=["b"], run_id="r")
    assert merged.index["split_fingerprint"].to_pylist() == ["old", "new"]
    assert merged.manifest.split_fingerprint == MIXED


def test_other_parameters_lie_in_another_file(constant, tmp_path):
    champion = constant.write_bundle(tmp_path / "old", {0: {"a": 1.0, "b": 1.0}})
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 2.0, "b": 2.0}}, parameters={"note": [1]})
    merged = merge(tmp_path, champion=champion, candidate=candidate, accepted=["b"], run_id="r")
    assert sorted(str(f.parameters) for f in merged.manifest.files) == ["{'note': [1]}", "{}"]


def test_requests_that_make_no_sense(constant, tmp_path):
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 1.0}})
    arguments = {"champion": None, "candidate": candidate, "run_id": "r"}
    with pytest.raises(BundleError, match="1 accepted entities have no model there, first 'zz'"):
        merge(tmp_path, accepted=["a", "zz"], **arguments)
    with pytest.raises(BundleError, match="both accepted and retired, first 'a'"):
        merge(tmp_path, accepted=["a"], retired=["a"], **arguments)
    with pytest.raises(BundleError, match="has no pooled model"):
        merge(tmp_path, accepted=["a"], pooled_accepted=True, **arguments)
    with pytest.raises(BundleError, match="no model would serve"):
        merge(tmp_path, accepted=[], **arguments)
    assert [p.name for p in tmp_path.iterdir()] == ["new"]


def test_another_fleet_or_other_binary_classes(constant, tmp_path):
    old = constant.schema(Task.BINARY, ("no", "yes"))
    new = constant.schema(Task.BINARY, ("0", "1"))
    champion = constant.write_bundle(tmp_path / "old", {0: {"a": 1.0, "b": 1.0}}, of=old)
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 1.0, "b": 1.0}}, of=new)
    with pytest.raises(BundleError, match=r"disagree about the classes.*relabel the data"):
        merge(tmp_path, champion=champion, candidate=candidate, accepted=["a"], run_id="r")
    assert merge(tmp_path, champion=champion, candidate=candidate, accepted=["a", "b"], run_id="r").entities
    stranger = constant.write_bundle(tmp_path / "s", {0: {"a": 1.0}}, of=old, fleet="costs")
    with pytest.raises(BundleError, match="is of fleet 'costs', but the champion"):
        merge(tmp_path, champion=champion, candidate=stranger, accepted=["a"], run_id="r")


def test_a_damaged_source_stops_the_merge(constant, tmp_path):
    champion = constant.write_bundle(tmp_path / "old", {0: {"a": 1.0}, 1: {"b": 2.0}})
    candidate = constant.write_bundle(tmp_path / "new", {0: {"a": 2.0}})
    file = champion.path / next(f.path for f in champion.manifest.files if f.shard == 1)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BundleError, match="truncated"):
        merge(tmp_path / "bundles", champion=champion, candidate=candidate, accepted=["a"], run_id="r")
    assert list((tmp_path / "bundles").iterdir()) == []


def test_a_merged_bundle_that_was_damaged_since_is_made_again(constant, tmp_path):
    candidate = write(constant, tmp_path / "new", {"a": (0, 1), "b": (1, 2)}, None)
    arguments = dict(champion=None, candidate=candidate, accepted={"a", "b"}, run_id="merge")
    merged = merge(tmp_path / "bundles", **arguments)
    (merged.path / "index.parquet").write_bytes(b"PAR1")
    with pytest.raises(BundleError, match="truncated or altered"):
        Bundle.open(merged.path, sha256=merged.sha256)
    again = merge(tmp_path / "bundles", **arguments)
    assert (again.path, again.sha256) == (merged.path, merged.sha256)
    assert Bundle.open(again.path, sha256=again.sha256).entities == {"a", "b"}
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [again.path.name]
