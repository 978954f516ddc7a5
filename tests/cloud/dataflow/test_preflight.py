"""What is wrong is told before anything is submitted, and by whom it can be mended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from modelfleet.cli.main import app
from modelfleet.engines import google_identity
from modelfleet.engines.preflight import check_engine, engine_checks
from modelfleet.errors import CloudSetupError, CredentialsError, EngineUnavailableError, error_named
from modelfleet.home import Home
from modelfleet.spec import FleetSpec, override
from tests.cloud.dataflow.job_store import Refused
from tests.cloud.dataflow.loopback_google import BUCKET, CALLER, PROJECT, Google

HOME = Home(Path("/var/lib/modelfleet"))
TOPICS = f"projects/{PROJECT}/topics"
PUBSUB = {
    "serving": {
        "source": {"kind": "pubsub", "subscription": f"projects/{PROJECT}/subscriptions/requests"},
        "sink": {"kind": "pubsub", "answers": f"{TOPICS}/answers", "dead_letters": f"{TOPICS}/dead"},
    }
}


def changed(spec: FleetSpec, **options: Any) -> FleetSpec:
    return override(spec, {"engine_options": options})


@pytest.fixture
def nobody(google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Google:
    """Take every credential away, and let the search for others be what it is outside of Google: silence."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    return google


def test_everything_in_order(google: Google, spec: FleetSpec) -> None:
    check_engine(spec, "train", HOME)
    seen = {check.what: (check.state, check.seen) for check in engine_checks(spec, "train", HOME)}
    assert seen["credentials"] == ("ok", CALLER)
    assert seen["bucket"] == ("ok", f"gs://{BUCKET}: files can be put there and read")
    assert seen["APIs"] == ("ok", "compute, dataflow, storage")
    assert {state for state, _ in seen.values()} == {"ok", "unknown"}
    assert seen["home folder"][0] == "unknown"
    assert {host.partition(":")[0] for host in google.proxy.hosts} == {
        f"{name}.googleapis.com" for name in ("dataflow", "iamcredentials", "oauth2", "serviceusage", "storage")
    }


def test_no_credentials_say_how_to_get_some(nobody: Google, spec: FleetSpec) -> None:
    with pytest.raises(CredentialsError, match="gcloud auth application-default login") as caught:
        check_engine(spec, "train", HOME)
    assert caught.value.exit_code == 2
    assert "GOOGLE_APPLICATION_CREDENTIALS" in str(caught.value)
    assert nobody.store.created == []


def test_a_search_for_credentials_that_never_ends_is_given_up(
    nobody: Google, spec: FleetSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    monkeypatch.setattr("google.auth.default", lambda **_: threading.Event().wait())
    monkeypatch.setattr("modelfleet.engines.preflight.SECONDS", 0.3)
    with pytest.raises(CredentialsError, match=r"found within 0\.1 s"):
        check_engine(spec, "train", HOME)


def test_a_key_that_is_not_there_is_named(google: Google, spec: FleetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json")
    with pytest.raises(CredentialsError, match=r"/nowhere/key\.json"):
        check_engine(spec, "train", HOME)


def test_a_key_that_google_refuses_names_its_account(google: Google, spec: FleetSpec) -> None:
    google.rest.token_refused = "invalid_grant: account not found"
    with pytest.raises(CredentialsError, match=f"refuses the credentials of {CALLER}"):
        check_engine(spec, "train", HOME)


def test_without_a_network_a_retry_may_help(google: Google, spec: FleetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://localhost:1")
    with pytest.raises(EngineUnavailableError) as caught:
        check_engine(spec, "train", HOME)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"project": None}, r"engine_options\.project is missing: set engine_options\.project"),
        ({"region": "Europe"}, r"engine_options\.region is 'Europe'.*europe-west1"),
        ({"temp_location": "/tmp"}, r"temp_location is '/tmp'.*gs://BUCKET"),
        ({"temp_location": "gs://b1/temp"}, "temp_location is 'gs://b1/temp'"),
        ({"staging_location": f"{BUCKET}/staging"}, "staging_location is"),
        ({"sdk_container_image": None}, r"worker image: none is named.*beam_jobs/Dockerfile"),
        ({"temp_location": "gs://acme-nobody/temp"}, "bucket: gs://acme-nobody is not there: make it"),
    ],
)
def test_a_wrong_option_is_named(google: Google, spec: FleetSpec, options: dict[str, Any], message: str) -> None:
    with pytest.raises(CloudSetupError, match=message) as caught:
        check_engine(changed(spec, **options), "train", HOME)
    assert caught.value.exit_code == 2


def test_all_that_is_wrong_is_told_at_once(google: Google, spec: FleetSpec) -> None:
    google.rest.apis_off = {"compute.googleapis.com"}
    with pytest.raises(CloudSetupError) as caught:
        check_engine(changed(spec, sdk_container_image=None, temp_location="gs://acme-nobody/t"), "train", HOME)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:]] == ["worker image", "bucket", "APIs"]
    assert "gcloud services enable compute.googleapis.com --project=acme-fleets" in lines[-1]


def test_who_may_not_look_at_jobs_is_told_of_the_role(google: Google, spec: FleetSpec) -> None:
    google.store.refuse = Refused(403, "Dataflow API has not been used in project acme-fleets before or it is disabled")
    with pytest.raises(CloudSetupError, match=rf"disabled: grant {CALLER} roles/dataflow\.developer"):
        check_engine(spec, "train", HOME)


def test_a_service_that_is_down_may_be_tried_again(google: Google, spec: FleetSpec) -> None:
    google.store.refuse = Refused(503, "The service is currently unavailable")
    with pytest.raises(EngineUnavailableError, match="503: The service is currently unavailable"):
        check_engine(spec, "train", HOME)


def test_serving_needs_its_topics(google: Google, spec: FleetSpec) -> None:
    google.rest.pubsub = {f"{TOPICS}/answers", f"projects/{PROJECT}/subscriptions/requests"}
    with pytest.raises(CloudSetupError, match=rf"Pub/Sub: {TOPICS}/dead is not there"):
        check_engine(override(spec, PUBSUB), "serve", HOME)
    google.rest.pubsub.add(f"{TOPICS}/dead")
    check_engine(override(spec, PUBSUB), "serve", HOME)


def test_serving_needs_the_subscription_that_tells_of_releases(google: Google, spec: FleetSpec) -> None:
    heard = f"projects/{PROJECT}/subscriptions/releases"
    google.rest.pubsub = {f"{TOPICS}/answers", f"{TOPICS}/dead", f"projects/{PROJECT}/subscriptions/requests"}
    notices = {"kind": "pubsub", "topic": f"{TOPICS}/release-notices", "subscription": heard}
    told = override(override(spec, PUBSUB), {"serving": {"updates": "event", "notices": notices}})
    with pytest.raises(CloudSetupError, match=rf"Pub/Sub: {heard} is not there"):
        check_engine(told, "serve", HOME)
    check_engine(override(told, {"serving": {"updates": "watch"}}), "serve", HOME)
    google.rest.pubsub.add(heard)
    check_engine(told, "serve", HOME)


def test_workers_serve_no_folder_of_this_machine(google: Google, spec: FleetSpec) -> None:
    with pytest.raises(CloudSetupError, match=r"serving.source: a folder, and Dataflow.*\n.*serving.sink"):
        check_engine(spec, "serve", HOME)


def test_engines_of_this_machine_are_not_asked(google: Google, spec: FleetSpec) -> None:
    local = spec.model_copy(update={"engine": "local"})
    check_engine(local, "train", HOME)
    assert engine_checks(local, "train", HOME) == []
    assert google.proxy.hosts == []


def test_doctor_shows_it(google: Google, tmp_path: Path, spec: FleetSpec) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(spec.model_dump_json(exclude_unset=True))
    google.rest.apis_off = {"compute.googleapis.com"}
    done = CliRunner().invoke(app, ["doctor", str(file), "--json"])
    found = {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert found["dataflow: credentials"]["seen"] == CALLER
    assert (found["dataflow: APIs"]["state"], found["dataflow: Dataflow"]["state"]) == ("missing", "ok")
    assert done.exit_code == 2


def test_a_launcher_s_error_keeps_its_type() -> None:
    for kind in (CredentialsError, CloudSetupError):
        assert type(error_named(kind.__name__, "x")) is kind


def test_a_call_that_takes_too_long_is_left_behind() -> None:
    import threading

    with pytest.raises(TimeoutError):
        google_identity.within(0.01, threading.Event().wait)
    with pytest.raises(ValueError, match="no"):
        google_identity.within(5, lambda: int("no"))
