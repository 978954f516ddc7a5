"""What lies in MLflow after a run, and what happens when MLflow does not answer."""

from __future__ import annotations

import socket
import time

import pytest

from modelfleet.bundles.format import folder_name
from modelfleet.bundles.reader import Bundle
from modelfleet.errors import ModelfleetError, RegistryUnavailableError
from modelfleet.home import Home
from modelfleet.registry.mlflow import MlflowRegistry
from modelfleet.registry.session import mlflow_session, tracking_uri

pytestmark = pytest.mark.mlflow


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield MlflowRegistry.for_home(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def bundle(bundle_of, tmp_path_factory):
    made = bundle_of(tmp_path_factory.mktemp("bundles") / "b")
    return Bundle.open(made.path.rename(made.path.with_name(folder_name(made.sha256))))


@pytest.fixture(scope="module")
def logged(registry, bundle, report_of, release):
    kept = registry.log_run(report_of(), bundle)
    registry.reconcile("sales", [release(4, kept.model_version)])
    return kept


@pytest.fixture
def client(registry):
    with mlflow_session(registry.uri) as client:
        yield client


def artifacts(client, run_id, folder=None):
    found = []
    for entry in client.list_artifacts(run_id, folder):
        found += artifacts(client, run_id, entry.path) if entry.is_dir else [entry.path]
    return sorted(found)


def test_the_run(client, logged):
    run = client.get_run(logged.run_id)
    assert client.get_experiment(run.info.experiment_id).name == "modelfleet/sales"
    assert run.info.status == "FINISHED"
    assert run.data.params["parameters.max_depth"] == "4"
    assert len(run.data.params["overrides"]) == 6000
    assert run.data.metrics == {"promoted": 1.0, "loss_candidate": 0.1, "candidate_accuracy_p50": 0.8}
    assert run.data.tags["gate"] == "accepted"
    assert run.data.tags["generation"] == "4"
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("sales", "abc-80")
    assert "/data/sales.csv" in dataset.dataset.source
    assert artifacts(client, logged.run_id) == [
        "decisions.json",
        "figures/candidate_against_champion.png",
        "figures/differences.png",
        "tables/candidates.parquet",
        "tables/decisions.parquet",
        "tables/evaluation.parquet",
    ]


def test_the_version(client, logged, bundle):
    version = client.get_model_version_by_alias("sales", "champion")
    assert str(version.version) == logged.model_version
    assert version.tags["bundle_sha256"] == bundle.sha256
    assert version.tags["run_id"] == "run-1"
    assert version.tags["generation"] == "4"
    assert version.run_id == logged.run_id
    model = client.get_logged_model(client.get_run(logged.run_id).data.tags["modelfleet.model_id"])
    assert version.source == f"models:/{model.model_id}"
    assert {metric.key for metric in model.metrics} >= {"loss_candidate", "promoted"}


def test_an_alias_of_somebody_s_own_counts(client, registry, logged, bundle):
    assert registry.aliased("sales") == {bundle.sha256: "champion"}
    client.delete_registered_model_alias("sales", "champion")
    client.set_registered_model_alias("sales", "golden", logged.model_version)
    assert registry.aliased("sales") == {bundle.sha256: "golden"}
    client.set_registered_model_alias("sales", "champion", logged.model_version)
    client.delete_registered_model_alias("sales", "golden")


def test_the_decisions_are_a_table_mlflow_can_compare(client, logged):
    experiment = client.get_run(logged.run_id).info.experiment_id
    table = client.load_table(experiment, "decisions.json", run_ids=[logged.run_id])
    assert table["outcome"].tolist() == ["promote", "keep", "promote"]


def test_nothing_scales_with_entities(client, registry, report_of, bundle_of, tmp_path):
    """Ten thousand entities: as many runs, metrics, files and versions as two."""
    names = tuple(f"e{i:05d}" for i in range(10_000))
    small = bundle_of(tmp_path / "x", family="logistic", seed=3, fleet="many")
    kept = registry.log_run(report_of("big", fleet="many", entities=names), small)
    run = client.get_run(kept.run_id)
    assert len(run.data.metrics) == 3
    assert len(artifacts(client, kept.run_id)) == 6
    assert len(client.search_runs([run.info.experiment_id])) == 1
    assert len(client.search_model_versions("name='many'")) == 1


def test_a_run_kept_in_part_is_kept_anew(client, registry, report_of, bundle, monkeypatch):
    """A crash after each step of keeping a run: the next call leaves one complete run and one version."""
    import modelfleet.registry.mlflow as adapter

    def crash(*_):
        raise KeyboardInterrupt

    report = report_of(fleet="crashing")
    for step in ("log_dataset", "log_tables", "_log_model", "_new_version"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(adapter, step, crash)
            registry.log_run(report, bundle)
    kept = registry.log_run(report, bundle)
    experiment = client.get_experiment_by_name("modelfleet/crashing")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id == kept.run_id
    assert kept.model_version == "1"
    assert len(client.search_model_versions("name='crashing'")) == 1


def test_without_a_tracking_uri_it_lies_below_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert tracking_uri(Home(tmp_path)) == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert tracking_uri(Home(tmp_path)) == "http://127.0.0.1:5000"


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "silent"])
def test_mlflow_down_is_said_within_seconds(silent, report_of):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()  # connects, but nobody ever answers
        uri = f"http://127.0.0.1:{listener.getsockname()[1]}"
        registry = MlflowRegistry(uri)
        began = time.monotonic()
        for call in (
            lambda: registry.log_run(report_of(), None),
            lambda: registry.floor("sales"),
        ):
            with pytest.raises(
                RegistryUnavailableError, match=rf"MLflow at {uri} does not answer: .*run the same step"
            ):
                call()
        assert time.monotonic() - began < 60  # MLflow's own patience is ten minutes


def test_a_database_that_cannot_be_opened(tmp_path):
    (tmp_path / "mlflow.db").write_text("this is no database, whatever its name says. " * 50)
    with pytest.raises(RegistryUnavailableError, match=r"MLflow at sqlite:.* does not answer"):
        MlflowRegistry(f"sqlite:///{tmp_path}/mlflow.db").floor("sales")


def test_a_tracking_uri_that_makes_no_sense():
    with pytest.raises(ModelfleetError, match=r"MLflow at gopher://x"):
        MlflowRegistry("gopher://x").floor("sales")


def test_the_default_uri_of_the_process_is_put_back(registry, monkeypatch):
    import mlflow

    mlflow.set_tracking_uri("sqlite:////elsewhere.db")
    with mlflow_session(registry.uri):
        assert mlflow.get_tracking_uri() == registry.uri
    assert mlflow.get_tracking_uri() == "sqlite:////elsewhere.db"
    mlflow.set_tracking_uri(None)
    with mlflow_session(registry.uri):
        pass
    assert not mlflow.is_tracking_uri_set()
