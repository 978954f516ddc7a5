"""Registering: bundle first, then the registry; again after any crash."""

from __future__ import annotations

import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.errors import BundleError, RegistryUnavailableError, StepError
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.loop.run_report import fleet_loss
from modelfleet.registry.mlflow import MlflowRegistry
from modelfleet.releases.promote import rollback
from modelfleet.run import Run
from modelfleet.spec.file import parse_spec


def test_accepted_models_become_a_bundle_and_a_version(shop):
    run = shop.run({"a": 1.0, "b": 2.0}, promote=["a"], pooled=9.0, reason="new data")
    result = register(run, shop.registry)
    bundle = Bundle.open(result.bundle, sha256=result.bundle_sha256)
    assert bundle.entities == {"a"}
    assert bundle.path.parent == shop.folders.bundles
    assert result.model_version == "1"
    assert run.read("register")["bundle_sha256"] == bundle.sha256
    assert shop.ledger.latest() is None


def test_what_the_registry_is_told(shop):
    run = shop.run({"a": 1.0, "b": 2.0}, promote=["a"], overrides={"model": {"min_rows": 5}}, reason="new data")
    register(run, shop.registry)
    report = shop.registry.runs["sales", run.record.run_id]
    assert report.params["family"] == "linear"
    assert report.params["overrides"] == '{"model": {"min_rows": 5}}'
    assert report.params["min_rows"] == "5"
    assert report.metrics["promoted"] == 1
    assert report.metrics["kept"] == 1
    assert report.metrics["rows_prepared"] == 3
    assert report.metrics["loss_candidate"] == pytest.approx((10 * 0.1 + 20 * 0.2) / 30)
    assert report.metrics["candidate_rmse_p50"] == 1
    assert "loss_champion" not in report.metrics
    assert report.tags["gate"] == "accepted"
    assert report.tags["actor"] == "tester"
    assert report.decisions["entity"].to_pylist() == ["a", "b"]
    assert "new data" in report.note
    assert "/docs/index.html" in report.note
    assert report.dataset.digest == "0000000000000006-4"  # 1 - 1 + 7 - 1, modulo 2^64
    assert report.dataset.uri == "/data/sales.csv"


def test_a_refused_run_is_kept_without_a_bundle(shop):
    run = shop.run({"a": 1.0}, refused=True)
    result = register(run, shop.registry)
    assert (result.model_version, result.bundle, result.bundle_sha256) == (None, None, None)
    assert shop.registry.runs["sales", run.record.run_id].tags["gate"] == "refused"
    assert not shop.folders.bundles.exists()


def test_the_rest_comes_from_the_champion(shop):
    first = shop.run({"a": 1.0, "b": 2.0})
    register(first, shop.registry)
    promote(first, shop.registry)
    second = shop.run({"a": 5.0, "b": 6.0}, promote=["b"])
    bundle = Bundle.open(register(second, shop.registry).bundle)
    origins = dict(zip(bundle.index["entity"].to_pylist(), bundle.index["run_id"].to_pylist(), strict=True))
    assert origins == {"a": first.record.run_id, "b": second.record.run_id}


def test_nothing_accepted_keeps_bundle_and_version(shop):
    first = shop.run({"a": 1.0})
    before = register(first, shop.registry)
    promote(first, shop.registry)
    second = shop.run({"a": 5.0}, promote=[])
    after = register(second, shop.registry)
    assert (after.bundle_sha256, after.model_version) == (before.bundle_sha256, "1")
    assert shop.registry.runs["sales", second.record.run_id].tags["gate"] == "unchanged"
    assert promote(second, shop.registry).outcome == "no_change"


def test_any_run_puts_the_aliases_right(shop):
    for value in (1.0, 2.0):
        run = shop.run({"a": value})
        register(run, shop.registry)
        promote(run, shop.registry)
    rollback(shop.ledger)
    assert shop.registry.champion("sales") == "2"
    register(shop.run({"a": 3.0}, refused=True), shop.registry)
    assert shop.registry.champion("sales") == "1"


def test_again_is_the_same(shop):
    run = shop.run({"a": 1.0})
    assert register(run, shop.registry) == register(Run.load(run.folder), shop.registry)
    assert len(list(shop.folders.bundles.iterdir())) == 1


def test_a_crash_of_the_registry_leaves_a_bundle_that_the_next_call_uses(shop, monkeypatch):
    run = shop.run({"a": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(shop.registry, "log_run", lambda *_: (_ for _ in ()).throw(RegistryUnavailableError("down")))
        with pytest.raises(RegistryUnavailableError):
            register(run, shop.registry)
    assert not run.has("register")
    (left,) = shop.folders.bundles.iterdir()
    assert register(run, shop.registry).bundle == str(left)


def test_steps_in_the_wrong_order(shop):
    run = Run.open(shop.home, parse_spec({**_spec(), "fleet": "sales"}, "test"))
    with pytest.raises(StepError, match=r"gate.json is not there: run the step 'gate' first"):
        register(run, shop.registry)
    with pytest.raises(StepError, match="run the step 'register' first"):
        promote(run, shop.registry)


def _spec():
    return {"entity": "store", "task": "regression", "data": {"source": "x.csv", "target": "y"}}


def test_a_damaged_candidate(shop):
    run = shop.run({"a": 1.0})
    (run.candidate / "index.parquet").write_bytes(b"")
    with pytest.raises(BundleError, match="truncated or altered"):
        register(run, shop.registry)
    assert not run.has("register")


def test_fleet_loss_compares_the_same_entities():
    import pyarrow as pa

    table = pa.table(
        {
            "kind": ["entity", "entity", "entity", "pooled"],
            "rows_holdout": [10, 30, 100, 1000],
            "candidate_loss": [0.1, 0.2, 0.9, 5.0],
            "champion_loss": [0.2, 0.2, None, 5.0],
            "baseline_loss": [0.4, None, 0.4, 5.0],
        }
    )
    losses = fleet_loss(table)
    assert losses["loss_candidate"] == pytest.approx((1 + 6) / 40)
    assert losses["loss_champion"] == pytest.approx(0.2)
    assert losses["loss_baseline"] == pytest.approx(0.4)
    assert "loss_pooled" not in losses


@pytest.mark.mlflow
def test_with_the_real_mlflow(shop, monkeypatch):
    """The whole way: two runs, one of them only partly accepted, and the alias follows the ledger."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    registry = MlflowRegistry.for_home(shop.home)
    for models, accepted in (({"a": 1.0, "b": 2.0}, None), ({"a": 5.0, "b": 6.0}, ["b"])):
        run = shop.run(models, promote=accepted, pooled=9.0)
        register(run)
        promote(run)
    assert shop.ledger.latest().model_version == "2"
    assert registry.champion("sales") == "2"
    assert registry.floor("sales") == 2


@pytest.mark.mlflow
def test_mlflow_down(shop, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    run = shop.run({"a": 1.0})
    with pytest.raises(RegistryUnavailableError, match=r"http://127.0.0.1:9 does not answer"):
        register(run)
    assert not run.has("register")
    assert shop.ledger.latest() is None
