"""The note of a deployment: it names the workers' image, and keeps a half-finished deployment from submitting."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from modelfleet.engines.dataflow_options import dataflow_options
from modelfleet.engines.deployment import DEPLOYED, current_deployment, image_check
from modelfleet.engines.preflight import check_engine
from modelfleet.errors import CloudSetupError, EngineUnavailableError
from modelfleet.home import Home
from modelfleet.spec import FleetSpec, override
from tests.cloud.dataflow.conftest import OPTIONS
from tests.cloud.dataflow.loopback_google import Google

IMAGE = f"registry.example/modelfleet/worker@sha256:{'1' * 64}"


@pytest.fixture
def unnamed(spec: FleetSpec) -> FleetSpec:
    """The spec as Terraform's outputs make it: without an image."""
    return override(spec, {"engine_options": {"sdk_container_image": None}})


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the note is; it is written by a test."""
    monkeypatch.setenv(DEPLOYED, str(tmp_path / "deployed.json"))
    return tmp_path / "deployed.json"


def written(**changes: Any) -> str:
    images = {"worker": IMAGE, "mlflow": "registry.example/mlflow"}
    return json.dumps({"revision": "0" * 40, "version": version("modelfleet"), "images": images} | changes)


def test_the_workers_image_is_the_one_that_was_deployed(google: Google, unnamed: FleetSpec, note: Path) -> None:
    note.write_text(written())
    home = Home(note.parent)
    for job in ("train", "serve"):
        assert dataflow_options(unnamed, job, home)["sdk_container_image"] == IMAGE  # type: ignore[arg-type]
    check_engine(unnamed, "train", home)


def test_a_spec_that_names_an_image_keeps_it(spec: FleetSpec, note: Path) -> None:
    note.write_text(written())
    found = dataflow_options(spec, "train", Home(note.parent))["sdk_container_image"]
    assert found == OPTIONS["sdk_container_image"]


def test_nothing_is_submitted_between_the_package_and_its_image(google: Google, unnamed: FleetSpec, note: Path) -> None:
    note.write_text(written(version="0.0.9+gold"))
    with pytest.raises(EngineUnavailableError, match=r"deployed with modelfleet 0\.0\.9\+gold.*wait until"):
        check_engine(unnamed, "train", Home(note.parent))


@pytest.mark.parametrize(
    ("text", "told"), [(None, "nothing was deployed here yet"), ("{}", "is not what a deployment writes")]
)
def test_a_note_that_is_none(google: Google, unnamed: FleetSpec, note: Path, text: str | None, told: str) -> None:
    if text is not None:
        note.write_text(text)
    assert dataflow_options(unnamed, "train", Home(note.parent))["sdk_container_image"] is None
    with pytest.raises(CloudSetupError, match=told):
        check_engine(unnamed, "train", Home(note.parent))


def test_where_nobody_deploys_an_image_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(DEPLOYED, raising=False)
    assert current_deployment() is None
    assert "engine_options.sdk_container_image" in image_check().remedy
