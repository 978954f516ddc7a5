from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before gRPC is loaded: with its fork handlers, the process that has a server may die when it starts a launcher
os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"

from modelfleet.home import Home
from modelfleet.spec import FleetSpec, load_spec, override
from tests.cloud.conftest import TOOLS, Tool
from tests.cloud.dataflow.loopback_google import BUCKET, PROJECT, REGION, Google
from tests.streaming.conftest import Shop

REPOSITORY = Path(__file__).resolve().parents[3]

OPTIONS = {
    "project": PROJECT,
    "region": REGION,
    "temp_location": f"gs://{BUCKET}/dataflow/temp",
    "staging_location": f"gs://{BUCKET}/dataflow/staging",
    "service_account_email": f"worker@{PROJECT}.iam.gserviceaccount.com",
    "subnetwork": f"regions/{REGION}/subnetworks/modelfleet",
    "no_use_public_ips": True,
    "machine_type": "n2-standard-2",
    "max_num_workers": 4,
    "autoscaling_algorithm": "THROUGHPUT_BASED",
    "sdk_container_image": f"{REGION}-docker.pkg.dev/{PROJECT}/modelfleet/worker@sha256:{'0' * 64}",
}
"""As Terraform puts them out."""


@pytest.fixture(scope="session")
def started_google(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Google]:
    google = Google(tmp_path_factory.mktemp("google"), TOOLS / "python/bin/gcp-storage-emulator")
    yield google
    google.close()


@pytest.fixture
def google(started_google: Google, monkeypatch: pytest.MonkeyPatch) -> Google:
    """Google on loopback, as new; only this test's process and its children are sent there."""
    started_google.forget()
    for name, value in started_google.environment.items():
        monkeypatch.setenv(name, value)
    return started_google


@pytest.fixture
def spec() -> FleetSpec:
    """The spec of the shipped fleet, moved to Dataflow."""
    return override(load_spec(REPOSITORY / "fleets/income.yaml"), {"engine": "dataflow", "engine_options": OPTIONS})


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A fleet of two stores with a release. A module's tests share the home: a job's name is made of it."""
    shop = Shop(Home(tmp_path_factory.mktemp("shop") / "home"))
    shop.release()
    return shop
