"""Where one process trains a fleet, nothing is done twice, and nobody waits without need."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from beam_jobs.transforms import whole_fleet
from beam_jobs.transforms.whole_fleet import TrainFleet
from modelfleet.families.tree import TreeFamily
from modelfleet.training.prepared import PreparedShard

pytestmark = pytest.mark.beam

SIZES = {"a": 200, "bb": 150, "ccc": 90, "d": 120, "ee": 12}


def train(run):
    TrainFleet(run.workplace(), 2, 0.0).process(b"")


def files(run):
    paths = [*run.candidate.rglob("*"), run.folder / "evaluation.parquet"]
    return {path.relative_to(run.folder).as_posix(): path.read_bytes() for path in paths if path.is_file()}


def test_a_small_fleet_is_read_once_and_a_large_one_is_not_kept(make_spec, begin_run, monkeypatch):
    read, whole_shard = [], PreparedShard.read

    def counted(path, *rest, **more):
        read.append(path)
        return whole_shard(path, *rest, **more)

    monkeypatch.setattr(PreparedShard, "read", counted)
    run = begin_run(make_spec(), SIZES)
    found = []
    for most, times in ((sum(SIZES.values()), 1), (sum(SIZES.values()) - 1, 2)):
        monkeypatch.setattr("modelfleet.training.job.KEPT_ROWS", most)
        read.clear()
        train(run)
        assert sorted(read) == sorted([*run.prepared.glob("shard-*.parquet")] * times)
        found.append(files(run))
    assert found[0] == found[1]


def test_some_entities_of_a_kept_shard(make_spec, begin_run, monkeypatch):
    found = []
    for name, most in (("kept", 10_000), ("not kept", 0)):
        monkeypatch.setattr("modelfleet.training.job.KEPT_ROWS", most)
        run = begin_run(make_spec(), SIZES, entities=["a", "d"], run_id=name)
        train(run)
        found.append({path: data for path, data in files(run).items() if path.endswith(".arrow")})
    assert found[0] == found[1]
    assert found[0]


def test_a_champion_of_the_same_schema_is_compared_on_the_same_encoding(
    make_spec, begin_run, publish, evaluation, monkeypatch
):
    first = begin_run(make_spec(), SIZES, run_id="first")
    train(first)
    publish(first)
    again = begin_run(make_spec(), SIZES, seed=1, run_id="again")
    monkeypatch.setattr("modelfleet.training.holdout.encode_table", None)
    train(again)
    assert not np.isnan(evaluation(again)["entity", "a"]["champion_loss"])


def test_shards_are_fitted_beside_the_pooled_model(make_spec, begin_run, report, monkeypatch):
    fitted, fit, fit_pooled = threading.Event(), TreeFamily.fit, whole_fleet.fit_pooled

    def fit_and_tell(family, shard):
        if shard.entities != ("",):
            fitted.set()
        return fit(family, shard)

    def fit_pooled_after_a_shard(job, samples):
        assert fitted.wait(60)
        return fit_pooled(job, samples)

    monkeypatch.setattr(TreeFamily, "fit", fit_and_tell)
    monkeypatch.setattr(whole_fleet, "fit_pooled", fit_pooled_after_a_shard)
    run = begin_run(make_spec(), SIZES)
    train(run)
    assert report(run)["pooled"]
