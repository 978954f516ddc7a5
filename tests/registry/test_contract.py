"""What every registry does: the one in memory and MLflow."""

from __future__ import annotations

import functools

import pytest

from modelfleet.bundles.format import folder_name
from modelfleet.bundles.reader import Bundle
from modelfleet.home import Home
from modelfleet.registry.memory import MemoryRegistry
from modelfleet.registry.mlflow import MlflowRegistry


@pytest.fixture(scope="module")
def mlflow_home(tmp_path_factory):
    """One database for the module: making one takes MLflow seconds. Each test uses a fleet of its own."""
    return Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(params=["memory", pytest.param("mlflow", marks=pytest.mark.mlflow)])
def registry(request, mlflow_home, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return MemoryRegistry() if request.param == "memory" else MlflowRegistry.for_home(mlflow_home)


@pytest.fixture
def fleet(request):
    return request.node.name.partition("[")[0]


@pytest.fixture
def bundle(bundle_of, tmp_path, fleet):
    def make(seed=0):
        made = bundle_of(tmp_path / f"seed{seed}", seed=seed, fleet=fleet)
        return Bundle.open(made.path.rename(tmp_path / folder_name(made.sha256)))

    return functools.cache(make)


def test_an_unknown_fleet(registry, fleet):
    assert registry.champion(fleet) is None
    assert registry.floor(fleet) == 0
    assert registry.aliased(fleet) == {}
    registry.reconcile(fleet, [])


def test_a_refused_run_is_kept_without_a_version(registry, fleet, report_of, release):
    logged = registry.log_run(report_of(fleet=fleet, gate="refused"), None)
    assert logged.model_version is None
    assert logged.run_id in logged.run_url
    assert logged.run_url.startswith(logged.experiment_url)
    registry.reconcile(fleet, [])
    assert registry.champion(fleet) is None


def test_one_version_per_bundle(registry, fleet, report_of, bundle):
    first = registry.log_run(report_of("run-1", fleet=fleet), bundle(0))
    second = registry.log_run(report_of("run-2", fleet=fleet), bundle(1))
    assert (first.model_version, second.model_version) == ("1", "2")
    unchanged = registry.log_run(report_of("run-3", fleet=fleet), bundle(0))
    assert unchanged.model_version == "1"


def test_a_run_is_kept_once(registry, fleet, report_of, bundle):
    models = bundle()
    first = registry.log_run(report_of(fleet=fleet), models)
    assert registry.log_run(report_of(fleet=fleet), models) == first


def test_aliases_follow_the_ledger(registry, fleet, report_of, bundle, release):
    for number in range(2):
        registry.log_run(report_of(f"run-{number}", fleet=fleet), bundle(number))
    ledger = [release(1, "1"), release(2, "2")]
    registry.reconcile(fleet, ledger)
    registry.reconcile(fleet, ledger)
    assert registry.champion(fleet) == "2"
    assert registry.floor(fleet) == 2
    registry.reconcile(fleet, [*ledger, release(7, "1")])
    assert registry.champion(fleet) == "1"
    assert registry.aliased(fleet) == {bundle(0).sha256: "champion"}
    assert registry.floor(fleet) == 7
    registry.reconcile(fleet, ledger[:1])  # somebody deleted files: the number is not forgotten
    assert registry.floor(fleet) == 7
    registry.reconcile(fleet, [*ledger, release(8, None)])
    assert registry.champion(fleet) is None
