"""MLflow on Cloud Run: whoever runs the loop signs in by an identity token of its service account."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelfleet.errors import CredentialsError, ModelfleetError, RegistryUnavailableError
from modelfleet.registry.google_auth import NAME
from modelfleet.registry.mlflow import MlflowRegistry
from tests.cloud.dataflow.cloud_run import CloudRun
from tests.cloud.dataflow.loopback_google import CALLER, Google
from tests.cloud.emulators import free_port
from tests.cloud.mlflow_server import MlflowServer
from tests.registry.conftest import make_report


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path_factory.mktemp("mlflow") / "home", {"MLFLOW_SERVE_ARTIFACTS": "true"})
    server.wait()
    yield server
    server.close()


@pytest.fixture
def cloud_run(service: MlflowServer, google: Google, monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudRun]:
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", NAME)
    found = CloudRun(service.address, google.rest.id_tokens, {CALLER})
    yield found
    found.close()


def test_a_run_is_kept_with_one_token_for_all_requests(cloud_run: CloudRun, google: Google) -> None:
    registry = MlflowRegistry(cloud_run.address)
    logged = registry.log_run(make_report(), None)
    assert registry.log_run(make_report(), None).run_id == logged.run_id
    assert registry.champion("sales") is None
    assert cloud_run.refused == []
    assert any(method == "PUT" and "tables/evaluation.parquet" in path for method, path in cloud_run.let_in)
    assert google.rest.id_tokens.given == [cloud_run.address]


def test_a_token_that_is_about_to_expire_is_not_used_again(cloud_run: CloudRun, google: Google) -> None:
    google.rest.id_tokens.seconds = 60
    registry = MlflowRegistry(cloud_run.address)
    for _ in range(2):
        assert registry.champion("sales") is None
    assert cloud_run.refused == []
    assert len(google.rest.id_tokens.given) == len(cloud_run.let_in)


def test_whoever_is_no_invoker_is_told(service: MlflowServer, google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", NAME)
    closed = CloudRun(service.address, google.rest.id_tokens, {"somebody@else"})
    with pytest.raises(ModelfleetError, match=f"MLflow at {closed.address}.*403"):
        MlflowRegistry(closed.address).champion("sales")
    closed.close()
    assert set(closed.refused) == {"not an invoker"}


def test_without_a_token_nobody_gets_in(cloud_run: CloudRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_AUTH")
    with pytest.raises(ModelfleetError, match="403"):
        MlflowRegistry(cloud_run.address).champion("sales")
    assert cloud_run.let_in == []


def test_without_credentials_it_says_how_to_get_some(cloud_run: CloudRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(CredentialsError, match=r"no identity token: .*not found.*MLFLOW_TRACKING_TOKEN=\$\(gcloud"):
        MlflowRegistry(cloud_run.address).champion("sales")
    assert cloud_run.let_in == []


def test_google_that_gives_no_token_is_no_refusal(cloud_run: CloudRun, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, nobody)
    with pytest.raises(RegistryUnavailableError, match="gives no token just now"):
        MlflowRegistry(cloud_run.address).champion("sales")
    assert cloud_run.let_in == []
