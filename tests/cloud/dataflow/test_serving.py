"""The streaming job on Dataflow: what is submitted, one per fleet, updated, drained and cancelled."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from typer.testing import CliRunner

from modelfleet.cli.main import app
from modelfleet.engines import dataflow_serving
from modelfleet.engines.operate import drain_serving, job_status, restart_serving, stop_serving
from modelfleet.engines.serve import ServingJob, serve, serving_status, start_serving
from modelfleet.errors import CloudSetupError, CredentialsError, EngineUnavailableError, InputError
from modelfleet.home import Home
from modelfleet.spec import FleetSpec, override
from tests.cloud.dataflow.conftest import OPTIONS
from tests.cloud.dataflow.job_store import Job
from tests.cloud.dataflow.loopback_google import PROJECT, REGION, Google
from tests.cloud.dataflow.streaming_workers import ANSWERS, DEAD, SUBSCRIPTION, StreamingWorkers
from tests.cloud.dataflow.submission import Submission
from tests.streaming.conftest import Shop

PREDICT = {"min_ram": "8GB", "accelerator": "type:nvidia-l4;count:1;install-nvidia-driver:5xx;use_nvidia_mps"}
READ, WRITE, PARDO = (f"beam:transform:{name}:v1" for name in ("pubsub_read", "pubsub_write", "pardo"))


@pytest.fixture
def served(google: Google, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FleetSpec, Home]]:
    """The fleet, and workers for its jobs."""
    monkeypatch.setattr(dataflow_serving, "POLL_SECONDS", 0.1)
    google.rest.pubsub = {SUBSCRIPTION, ANSWERS, DEAD}
    shutil.rmtree(shop.folders.leases, ignore_errors=True)
    spec = override(
        shop.spec,
        {
            "engine": "dataflow",
            "engine_options": OPTIONS,
            "serving": {
                "source": {"kind": "pubsub", "subscription": SUBSCRIPTION, "requests": None},
                "sink": {"kind": "pubsub", "answers": ANSWERS, "dead_letters": DEAD, "large": "/var/large"},
            },
            "resources": {"hints": {"predict": PREDICT}},
        },
    )
    with StreamingWorkers(google, spec, shop.home).at_work():
        yield spec, shop.home


@pytest.fixture(scope="module")
def requests() -> list[Job]:
    """What the launcher sent for the first job that a test here found running."""
    return []


@pytest.fixture
def running(google: Google, served: tuple[FleetSpec, Home], requests: list[Job]) -> ServingJob:
    """The fleet's job; once a launcher has submitted one, others begin by the same request, which is quicker."""
    spec, home = served
    if requests:
        google.store.create(PROJECT, REGION, deepcopy(requests[0]))
        return serve(spec, home)
    job = start_serving(spec, home)
    requests.extend(google.store.created)
    return job


def submissions(google: Google) -> list[Submission]:
    return [Submission(google, job) for job in google.store.created]


def test_the_job_that_is_submitted(google: Google, served: tuple[FleetSpec, Home]) -> None:
    spec, home = served
    job = start_serving(spec, home)
    assert (job.state, job.generation, job.already_running, job.restored_from) == ("RUNNING", 1, False, None)
    assert job.url == f"https://console.cloud.google.com/dataflow/jobs/europe-west1/{job.job_id}?project={PROJECT}"
    (sent,) = submissions(google)
    assert sent.job["type"] == "JOB_TYPE_STREAMING"
    assert sent.job["name"] == job.name
    assert set(sent.job["labels"]) == {"modelfleet_fleet", "modelfleet_job", "modelfleet_graph"}
    # Without the first a swap is never seen; the others are the streaming engine's
    assert {
        "disable_global_windowed_args_caching",
        "enable_streaming_engine",
        "enable_windmill_service",
        "use_runner_v2",
    } <= set(sent.environment["experiments"])
    assert sent.options["enable_streaming_engine"] is True
    assert sent.environment["serviceAccountEmail"] == OPTIONS["service_account_email"]
    assert {each["containerImage"] for each in sent.pool["sdkHarnessContainerImages"]} == {
        OPTIONS["sdk_container_image"]
    }

    payloads = {}
    for transform in sent.pipeline.components.transforms.values():
        if transform.spec.urn == READ:
            payloads["read"] = beam_runner_api_pb2.PubSubReadPayload.FromString(transform.spec.payload).subscription
        elif transform.spec.urn == WRITE:
            topic = beam_runner_api_pb2.PubSubWritePayload.FromString(transform.spec.payload).topic
            payloads[transform.unique_name.split("/")[0]] = topic
    assert payloads == {"read": SUBSCRIPTION, "Write answers": ANSWERS, "Write dead letters": DEAD}

    signal = sent.transform("Signal/Notice")
    assert signal.spec.urn == PARDO
    (side,) = beam_runner_api_pb2.ParDoPayload.FromString(signal.spec.payload).side_inputs
    source = sent.pipeline.components.pcollections[signal.inputs[side]]
    window = sent.pipeline.components.windowing_strategies[source.windowing_strategy_id]
    assert source.is_bounded == beam_runner_api_pb2.IsBounded.UNBOUNDED
    assert window.trigger.WhichOneof("trigger") == "repeat"

    # What tells the process's models of a release must be in the process that predicts
    expected = {"min_ram_bytes": "8000000000", "accelerator": PREDICT["accelerator"]}
    inference = next(
        each.unique_name
        for each in sent.pipeline.components.transforms.values()
        if each.unique_name.startswith("Predict/") and each.unique_name.endswith("BeamML_RunInference")
    )
    for name in ("Signal/Notice", inference, "Outcomes/Take apart"):
        assert sent.hints(name) == expected
    assert sent.hints("Releases/Newest release") == {}


def test_exactly_one_job_per_fleet(google: Google, served: tuple[FleetSpec, Home], running: ServingJob) -> None:
    spec, home = served
    again = serve(spec, home)
    assert (again.job_id, again.already_running) == (running.job_id, True)
    status = serving_status(spec, home)
    assert status is not None and status.job_id == running.job_id
    assert len(google.store.created) == 1

    assert drain_serving(spec, home) == SUBSCRIPTION
    assert google.store.asked == [(running.job_id, "JOB_STATE_DRAINED")]
    assert job_status(spec, home) is None
    assert drain_serving(spec, home) is None

    second = start_serving(spec, home)
    assert (second.name, second.job_id == running.job_id) == (running.name, False)
    assert stop_serving(spec, home)
    assert google.store.asked[1:] == [(second.job_id, "JOB_STATE_CANCELLED")]
    assert not stop_serving(spec, home)


def test_a_running_job_is_updated_in_place(google: Google, served: tuple[FleetSpec, Home], running: ServingJob) -> None:
    spec, home = served
    bigger = override(spec, {"engine_options": {"machine_type": "n2-standard-8"}})
    second = restart_serving(bigger, home)
    assert second.restored_from == running.job_id
    assert [job["replaceJobId"] for job in google.store.created[1:]] == [running.job_id]
    assert submissions(google)[1].pool["machineType"] == "n2-standard-8"
    assert google.store.asked == []
    assert google.store.jobs[running.job_id]["currentState"] == "JOB_STATE_UPDATED"


def test_an_update_that_dataflow_refuses_leaves_the_old_job(
    google: Google, served: tuple[FleetSpec, Home], running: ServingJob
) -> None:
    spec, home = served
    google.store.refuse_updates = "The new job is not compatible with the original job: the transform X is missing"
    with pytest.raises(CloudSetupError, match=r"transform X is missing.*The old job runs on"):
        restart_serving(spec, home)
    assert google.store.jobs[running.job_id]["currentState"] == "JOB_STATE_RUNNING"


def test_another_graph_is_refused_unless_state_may_go(
    google: Google, served: tuple[FleetSpec, Home], running: ServingJob
) -> None:
    spec, home = served
    google.store.jobs[running.job_id]["labels"]["modelfleet_graph"] = "0123456789abcdef"
    with pytest.raises(InputError, match="the graph was 0123456789abcdef"):
        restart_serving(spec, home)
    assert google.store.asked == []
    second = restart_serving(spec, home, discard_state=True)
    assert second.restored_from is None
    assert google.store.asked == [(running.job_id, "JOB_STATE_DRAINED")]


def test_somebody_else_s_job_of_the_name_is_not_doubled(
    google: Google, served: tuple[FleetSpec, Home], running: ServingJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine submits between the look and the submission: the service itself takes a name once."""
    spec, home = served
    monkeypatch.setattr(dataflow_serving.DataflowServing, "find", lambda self: None)
    with pytest.raises(EngineUnavailableError, match="somebody else has started the fleet's job meanwhile"):
        start_serving(spec, home)
    assert len(google.store.created) == 1


def test_without_credentials_nothing_is_started(
    google: Google, served: tuple[FleetSpec, Home], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec, home = served
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    for call in (start_serving, serve, serving_status, stop_serving, drain_serving, restart_serving):
        with pytest.raises(CredentialsError, match="gcloud auth application-default login"):
            call(spec, home)


def test_the_command_line_starts_and_drains_it(
    google: Google,
    served: tuple[FleetSpec, Home],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    spec, home = served
    file = tmp_path / "fleet.yaml"
    file.write_text(spec.model_dump_json(exclude_unset=True))
    monkeypatch.setenv("MODELFLEET_HOME", str(home.root))
    started = CliRunner().invoke(app, ["serve", str(file)])
    assert started.exit_code == 0, started.output
    assert SUBSCRIPTION in started.stdout
    drained = CliRunner().invoke(app, ["serve", str(file), "--drain"])
    assert (drained.exit_code, SUBSCRIPTION in drained.stdout) == (0, True)
