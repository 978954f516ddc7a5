"""The Flex Template: launched as Google's launcher would, from a machine that has nothing but the worker image."""

from __future__ import annotations

import base64
import bz2
import io
import json
import os
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from apache_beam.portability.api import beam_runner_api_pb2
from ruamel.yaml import YAML

from beam_jobs.serve import WORKER_CACHE
from modelfleet.engines.dataflow_options import dataflow_options
from modelfleet.home import Home
from modelfleet.spec import FleetSpec, override
from modelfleet.stores.place import Url
from tests.cloud.dataflow.conftest import OPTIONS, REPOSITORY
from tests.cloud.dataflow.loopback_google import BUCKET, PROJECT, REGION, Google
from tests.cloud.dataflow.streaming_workers import ANSWERS, DEAD, SUBSCRIPTION
from tests.cloud.dataflow.submission import Submission
from tests.streaming.conftest import Shop

HOME = f"gs://{BUCKET}/home"
SPEC = f"gs://{BUCKET}/dags/fleets/shop.yaml"
JOB = f"gs://{BUCKET}/launches/1/job_object"
DOCKERFILE = (REPOSITORY / "beam_jobs/Dockerfile").read_text()

ARGUMENTS = {
    "serviceAccountEmail": "service_account_email",
    "subnetwork": "subnetwork",
    "sdkContainerImage": "sdk_container_image",
    "machineType": "machine_type",
    "maxWorkers": "max_num_workers",
    "tempLocation": "temp_location",
    "stagingLocation": "staging_location",
}
"""By which options of Beam's the launcher tells a pipeline what the template says."""


@pytest.fixture
def template() -> dict[str, Any]:
    """The template as Terraform plans it, its staging in the bucket of these tests."""
    plan = json.loads((REPOSITORY / "infra/modules/flex_templates/example/plan.json").read_text())
    (planned,) = plan.values()
    content: dict[str, Any] = planned["content"]["json"]
    content["defaultEnvironment"] |= {
        "stagingLocation": f"gs://{BUCKET}/dataflow/staging",
        "tempLocation": f"gs://{BUCKET}/dataflow/temp",
    }
    return content


@pytest.fixture
def spec(shop: Shop) -> FleetSpec:
    return override(
        shop.spec,
        {
            "engine": "dataflow",
            "engine_options": OPTIONS,
            "serving": {
                "source": {"kind": "pubsub", "subscription": SUBSCRIPTION, "requests": None},
                "sink": {"kind": "pubsub", "answers": ANSWERS, "dead_letters": DEAD},
            },
        },
    )


@pytest.fixture
def delivered(google: Google, shop: Shop, spec: FleetSpec) -> None:
    """The fleet's file and its releases, in the bucket."""
    google.write(SPEC, as_yaml(spec))
    folder = Path(str(shop.folders.releases))
    for file in folder.iterdir():
        google.write(f"{HOME}/fleets/shop/releases/{file.name}", file.read_bytes())


def as_yaml(spec: FleetSpec) -> bytes:
    stream = io.BytesIO()
    YAML(typ="safe").dump(json.loads(spec.model_dump_json(exclude_unset=True)), stream)
    return stream.getvalue()


def name_of(spec: FleetSpec, tmp_path: Path) -> str:
    return str(dataflow_options(spec, "serve", Home(tmp_path, Url(HOME)))["job_name"])


def launch(template: dict[str, Any], name: str, machine: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    """Start the program that the image names, with what a launcher passes on."""
    environment = template["defaultEnvironment"]
    assert set(environment) - set(ARGUMENTS) == {"ipConfiguration", "enableStreamingEngine"}
    given = {"fleet": "shop", "spec": SPEC, "home": HOME} | changed
    assert {each["name"] for each in template["metadata"]["parameters"]} == set(given)
    given |= {"runner": "DataflowRunner", "project": PROJECT, "region": REGION, "job_name": name}
    given |= {option: str(environment[key]) for key, option in ARGUMENTS.items()}
    given |= {"template_location": JOB}
    program = re.search(r"FLEX_TEMPLATE_PYTHON_PY_FILE=\S+/site-packages/(\S+)", DOCKERFILE)
    assert program
    machine.mkdir()
    return subprocess.run(
        [
            sys.executable, REPOSITORY / program[1], "--no_use_public_ips", "--enable_streaming_engine",
            *(f"--{option}={value}" for option, value in given.items()),
        ],
        cwd=machine,
        env=os.environ | {"MODELFLEET_HOME": str(machine)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip


def pickled(submission: Submission) -> bytes:
    """Return what workers unpickle, uncompressed."""
    found = []
    for transform in submission.pipeline.components.transforms.values():
        if transform.spec.urn == "beam:transform:pardo:v1":
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload).do_fn.payload
            packed = base64.b64decode(payload)
            found.append(bz2.decompress(packed) if packed[:2] == b"BZ" else zlib.decompress(packed))
    return b"".join(found)


@pytest.mark.usefixtures("delivered")
def test_the_job_that_a_launcher_stages(
    google: Google, template: dict[str, Any], spec: FleetSpec, tmp_path: Path
) -> None:
    name = name_of(spec, tmp_path)
    done = launch(template, name, tmp_path / "launcher")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["job_id"] is None
    assert google.store.created == [], "Dataflow makes the job, from the file"

    staged = Submission(google, json.loads(google.read(JOB)))
    environment = template["defaultEnvironment"]
    assert (staged.job["type"], staged.job["name"]) == ("JOB_TYPE_STREAMING", name)
    assert set(staged.job["labels"]) == {"modelfleet_fleet", "modelfleet_job", "modelfleet_graph"}
    assert {each["containerImage"] for each in staged.pool["sdkHarnessContainerImages"]} == {
        environment["sdkContainerImage"]
    }
    assert environment["sdkContainerImage"] != OPTIONS["sdk_container_image"], "the template's, of the launcher's code"
    assert staged.environment["serviceAccountEmail"] == environment["serviceAccountEmail"]
    assert staged.pool["machineType"] == environment["machineType"]
    assert "disable_global_windowed_args_caching" in staged.environment["experiments"], "else no swap is seen"

    told = pickled(staged)
    assert f"{HOME}/fleets/shop/releases".encode() in told
    assert WORKER_CACHE.encode() in told
    for text in (json.dumps(staged.options).encode(), told):
        assert str(tmp_path).encode() not in text
        assert str(Path.home()).encode() + b"/" not in text
    home = re.search(r"MODELFLEET_HOME=(\S+)", DOCKERFILE)
    assert home and WORKER_CACHE.startswith(f"{home[1]}/"), "where the image's user may write"


@pytest.mark.usefixtures("delivered")
@pytest.mark.parametrize(
    ("patch", "name", "changed", "complaint"),
    [
        ({}, "income", {}, "the job is called 'income', expected 'modelfleet-shop-serve-"),
        ({"engine": "local", "serving": None}, None, {}, "engine is 'local', expected 'dataflow'"),
        ({}, None, {"fleet": "other"}, "is the spec of fleet 'shop', expected 'other'"),
        ({}, None, {"spec": f"gs://{BUCKET}/none.yaml"}, "none.yaml: no such file in the bucket"),
        ({}, None, {"home": "/var/lib/modelfleet"}, "expected gs://BUCKET/PREFIX"),
        (
            {"serving": {"source": {"kind": "folder", "subscription": None}}}, None, {},
            "name a Pub/Sub or Kafka source",
        ),
    ],
    ids=["another name", "another engine", "another fleet", "no spec", "no bucket", "a folder"],
)  # fmt: skip
def test_a_launch_that_cannot_work_says_why(
    google: Google,
    template: dict[str, Any],
    spec: FleetSpec,
    tmp_path: Path,
    patch: dict[str, Any],
    name: str | None,
    changed: dict[str, str],
    complaint: str,
) -> None:
    google.write(SPEC, as_yaml(override(spec, patch)))
    done = launch(template, name or name_of(spec, tmp_path), tmp_path / "launcher", **changed)
    assert done.returncode == 2, done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
