from __future__ import annotations

import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelfleet.stores.place import Url
from tests.cloud.conftest import Tool
from tests.cloud.emulators import Emulator, start_gcs, start_s3

AWS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def gcs(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = start_gcs(tmp_path_factory.mktemp("gcs") / "log")
    yield emulator
    emulator.close()


@pytest.fixture(scope="session")
def s3(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    emulator = start_s3(tmp_path_factory.mktemp("s3") / "log")
    yield emulator
    emulator.close()


@pytest.fixture
def gs_bucket(gcs: Emulator, monkeypatch: pytest.MonkeyPatch) -> Url:
    """A new bucket of Google Cloud Storage, and an environment that finds it."""
    from modelfleet.stores.gcs import _client

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://{gcs.address}")
    _client.cache_clear()
    name = f"fleets-{uuid.uuid4().hex[:12]}"
    body = f'{{"name": "{name}"}}'.encode()
    request = urllib.request.Request(
        f"http://{gcs.address}/storage/v1/b?project=shop", body, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=10).close()
    return Url(f"gs://{name}")


@pytest.fixture
def s3_bucket(s3: Emulator, monkeypatch: pytest.MonkeyPatch) -> Url:
    """A new bucket that speaks S3, and an environment that finds it."""
    from modelfleet.stores.s3 import _client

    for name, value in {**AWS, "AWS_ENDPOINT_URL_S3": f"http://{s3.address}"}.items():
        monkeypatch.setenv(name, value)
    _client.cache_clear()
    bucket = f"fleets-{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(f"http://{s3.address}/{bucket}", b"", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()
    return Url(f"s3://{bucket}")


@pytest.fixture(params=["gs", "s3"])
def bucket(request: pytest.FixtureRequest) -> Url:
    """A new bucket of either kind."""
    made: Url = request.getfixturevalue(f"{request.param}_bucket")
    return made


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait until something is so."""

    def wait(condition: Callable[[], bool], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            threading.Event().wait(0.02)

    return wait


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a worker keeps its files."""
    (tmp_path / "worker").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "worker"))
    return tmp_path / "worker"
