"""The steps of a deployment, run by bash as the workflow has them; other programs only note how they were called."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]
JOB = YAML(typ="safe").load((REPOSITORY / ".github/workflows/deploy.yml").read_text())["jobs"]["deploy"]
COMMIT = "9b7196d0" * 5
VERSION = f"0.1.0+g{COMMIT}"
VARIABLES = {
    "REGISTRY": "europe-west1-docker.pkg.dev/acme-fleets-prod/modelfleet",
    "DAGS": "acme-dags",
    "REGION": "europe-west1",
    "UPLOAD": "https://europe-west1-python.pkg.dev/acme-fleets-prod/modelfleet-packages/",
    "COMPOSER": "modelfleet",
}
DEPLOYED = ("worker", "template-serve", "mlflow")
BEFORE = {
    name: f"europe-west1-docker.pkg.dev/acme-preprod/modelfleet/{name}@sha256:{i}" for i, name in enumerate(DEPLOYED)
}

PROGRAM = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
case "${0##*/} $*" in
  *" $REFUSED"*) exit 1 ;;
  "gcloud artifacts docker images describe"*) echo sha256:abc ;;
  "gcloud artifacts versions describe"*) [ -n "$UPLOADED" ] ;;
  "gcloud composer environments describe"*) echo "$INSTALLED" ;;
  "gcloud auth print-access-token") echo a-token ;;
esac
"""


@dataclass
class Runner:
    """A checkout with the wheel of CI, and the programs.

    Attributes:
        folder: The checkout.
        images: What the last deployment told of its images.
    """

    folder: Path
    images: dict[str, str] = field(default_factory=dict)

    def deploy(self, **environment: str) -> list[str]:
        """Run every step; return the calls, and fail as the workflow would."""
        calls, output = self.folder / "calls", self.folder / "output"
        for file in (calls, output, self.folder / "summary"):
            file.write_text("")
        known = {"FROM": "", "REFUSED": "nothing at all", "UPLOADED": "", "INSTALLED": ""} | environment
        for step in JOB["steps"]:
            if "run" not in step:
                continue
            outputs = dict(line.partition("=")[::2] for line in output.read_text().splitlines())
            given = {name: value for name, value in step.get("env", {}).items() if "${{" not in value}
            given |= {"IMAGES": outputs.get("images", ""), "VERSION": outputs.get("version", "")}
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.folder,
                env={
                    "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "GITHUB_SHA": COMMIT, "CALLS": str(calls),
                    "GITHUB_OUTPUT": str(output), "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
                    "IDENTITY": "^https://github", **VARIABLES, **given, **known,
                },
                capture_output=True,
                text=True,
                check=False,
            )  # fmt: skip
            if done.returncode:
                raise RuntimeError(f"{step['name']}: {done.stdout}{done.stderr}")
        self.images = json.loads(dict(line.partition("=")[::2] for line in output.read_text().splitlines())["images"])
        return calls.read_text().splitlines()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    for folder in ("dags", "plugins", "fleets"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    (tmp_path / "dist").mkdir()
    (tmp_path / f"dist/modelfleet-{VERSION}-py3-none-any.whl").touch()
    (tmp_path / "bin").mkdir()
    for name in ("gcloud", "cosign", "uv", "pip"):
        (tmp_path / "bin" / name).write_text(PROGRAM)
        (tmp_path / "bin" / name).chmod(0o755)
    return Runner(tmp_path)


def place(calls: list[str], begin: str) -> int:
    (found,) = [number for number, call in enumerate(calls) if call.startswith(begin)]
    return found


def test_images_then_the_package_then_the_note_then_dags(runner: Runner) -> None:
    calls = runner.deploy()
    order = [
        max(number for number, call in enumerate(calls) if call.startswith("cosign verify")),
        place(calls, f"uv publish --publish-url {VARIABLES['UPLOAD']}"),
        place(calls, "gcloud composer environments update modelfleet"),
        place(calls, "gcloud storage cp deployed.json gs://acme-dags/deployed.json"),
        min(number for number, call in enumerate(calls) if call.startswith("gcloud storage rsync")),
    ]
    assert order == sorted(order)
    assert not any(call.startswith("cosign copy") for call in calls)
    verified = [call.rpartition(" ")[2] for call in calls if call.startswith("cosign verify")]
    assert verified == [f"{VARIABLES['REGISTRY']}/{name}@sha256:abc" for name in DEPLOYED]
    assert all(f"--certificate-github-workflow-sha {COMMIT}" in call for call in calls if "cosign verify" in call)
    note = json.loads((runner.folder / "deployed.json").read_text())
    assert note == {"revision": COMMIT, "version": VERSION, "images": runner.images}
    assert list(runner.images) == list(DEPLOYED)
    assert any(call.endswith(f"]=={VERSION}") and "--update-pypi-package=modelfleet[" in call for call in calls)


def test_the_note_is_what_the_package_reads(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelfleet.engines.deployment import DEPLOYED as VARIABLE
    from modelfleet.engines.deployment import current_deployment

    runner.deploy()
    monkeypatch.setenv(VARIABLE, str(runner.folder / "deployed.json"))
    deployment = current_deployment()
    assert deployment is not None
    assert (deployment.version, deployment.images.worker) == (VERSION, runner.images["worker"])


def test_the_next_environment_gets_the_same_digests(runner: Runner) -> None:
    calls = runner.deploy(FROM=json.dumps(BEFORE))
    copied = [call.split()[2:] for call in calls if call.startswith("cosign copy")]
    assert copied == [[BEFORE[name], f"{VARIABLES['REGISTRY']}/{name}:{COMMIT}"] for name in DEPLOYED]
    assert runner.images == {
        name: f"{VARIABLES['REGISTRY']}/{name}@{BEFORE[name].rpartition('@')[2]}" for name in DEPLOYED
    }
    assert not any("docker images describe" in call for call in calls), "a tag may have moved"


def test_what_is_there_already_is_left_alone(runner: Runner) -> None:
    """A workflow that is run again."""
    wanted = next(
        call.rpartition("--update-pypi-package=modelfleet")[2]
        for call in runner.deploy()
        if "--update-pypi-package" in call
    )
    shutil.rmtree(runner.folder / "dags/fleets")
    calls = runner.deploy(UPLOADED="yes", INSTALLED=wanted)
    assert not any(call.startswith(("uv publish", "gcloud composer environments update")) for call in calls)
    assert any(call.startswith("gcloud storage cp deployed.json") for call in calls)


@pytest.mark.parametrize(
    ("refused", "unreached"),
    [
        ("verify", "uv publish"),
        ("copy", "cosign verify"),
        ("publish", "gcloud composer environments update"),
        ("composer environments update", "gcloud storage cp"),
        ("storage cp", "gcloud storage rsync"),
    ],
)
def test_what_fails_ends_it_before_what_comes_next(runner: Runner, refused: str, unreached: str) -> None:
    with pytest.raises(RuntimeError):
        runner.deploy(REFUSED=refused, FROM=json.dumps(BEFORE))
    calls = (runner.folder / "calls").read_text()
    assert refused in calls
    assert unreached not in calls


@pytest.mark.parametrize("wheels", [[], ["modelfleet-0.1.0-py3-none-any.whl"]], ids=["none", "of no commit"])
def test_another_wheel_is_not_deployed(runner: Runner, wheels: list[str]) -> None:
    for file in (runner.folder / "dist").iterdir():
        file.unlink()
    for name in wheels:
        (runner.folder / "dist" / name).touch()
    with pytest.raises(RuntimeError, match=f"dist has no wheel of {COMMIT}"):
        runner.deploy()


def test_fleets_lie_where_airflow_is_told_and_nothing_of_composer_s_is_deleted(runner: Runner) -> None:
    calls = [call.split() for call in runner.deploy() if call.startswith("gcloud storage rsync")]
    destinations = {call[-2]: call[-1] for call in calls}
    assert destinations == {"plugins": "gs://acme-dags/plugins", "dags": "gs://acme-dags/dags"}
    engine = (REPOSITORY / "infra/modules/platform/engine.tf").read_text()
    told = re.search(r'MODELFLEET_FLEETS += "(.+)"', engine)
    assert told
    # Composer mounts the bucket at /home/airflow/gcs
    below = told[1].removeprefix("/home/airflow/gcs/")
    local = runner.folder / below
    assert {file.name for file in local.glob("*.yaml")} == {
        file.name for file in (REPOSITORY / "fleets").glob("*.yaml")
    }
    noted = re.search(r'MODELFLEET_DEPLOYED += "gs://\$\{module\.buckets\.names\["dags"\]\}/(.+)"', engine)
    assert noted and noted[1] == "deployed.json"
    for call in calls:
        (excluded,) = [part.removeprefix("--exclude=") for part in call if part.startswith("--exclude=")]
        assert re.match(excluded, "airflow_monitoring.py")
        assert not re.match(excluded, "fleets/income.yaml") and not re.match(excluded, "retrain.py")


def test_the_version_of_the_wheel_names_the_commit(tmp_path: Path) -> None:
    """CI's own command; what it builds is what is deployed."""
    ci = YAML(typ="safe").load((REPOSITORY / ".github/workflows/ci.yml").read_text())["jobs"]["wheel"]["steps"]
    (step,) = [each for each in ci if "GITHUB_SHA" in each.get("run", "")]
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    subprocess.run(["bash", "-ec", step["run"]], cwd=tmp_path, env=os.environ | {"GITHUB_SHA": COMMIT}, check=True)
    before, after = (tomllib.loads((folder / "pyproject.toml").read_text()) for folder in (REPOSITORY, tmp_path))
    assert after["project"].pop("version") == f"{before['project'].pop('version')}+g{COMMIT}"
    assert after == before
    names = [each.get("name") or each.get("run", "") for each in ci]
    assert names.index(step["name"]) < next(i for i, name in enumerate(names) if name.startswith("uv build"))


def test_the_extras_that_airflow_gets_exist() -> None:
    (extras,) = [step["env"]["EXTRAS"] for step in JOB["steps"] if "EXTRAS" in step.get("env", {})]
    known: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(known["optional-dependencies"])
