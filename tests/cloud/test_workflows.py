"""The workflows: actionlint, zizmor, and what this project promises beyond them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

REPOSITORY = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
FILES = [*WORKFLOWS, *sorted((REPOSITORY / ".github/actions").glob("*/action.yml"))]
DELIVERY, DEPLOY = (REPOSITORY / ".github/workflows" / name for name in ("delivery.yml", "deploy.yml"))
WRITABLE = {"id-token"}
"""What a job may write: a token of its own, for Google Cloud and for signing. Nothing of the repository."""

Workflow = dict[str, Any]


def load(path: Path) -> Workflow:
    return dict(YAML(typ="safe").load(path.read_text()))


def loose_actions(text: str) -> list[str]:
    """Return the actions of others that are not pinned to a commit with the version beside it."""
    used = re.findall(r"(?m)^\s*(?:- )?uses: (.+)$", text)
    pinned = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
    return [each for each in used if not each.startswith("./") and not pinned.fullmatch(each)]


def wide_permissions(workflow: Workflow) -> list[str]:
    wide = [] if workflow.get("permissions") == {} else ["the workflow"]
    for name, job in workflow["jobs"].items():
        granted = job.get("permissions")
        if granted is None or any(value == "write" and key not in WRITABLE for key, value in granted.items()):
            wide.append(name)
    return wide


def test_actionlint_has_nothing_to_say(tool: Any) -> None:
    done = tool("actionlint", "-no-color", *WORKFLOWS)
    assert done.returncode == 0, done.stdout


def test_zizmor_has_nothing_to_say(tool: Any) -> None:
    done = tool("zizmor", "--offline", "--no-progress", "--color=never", ".github")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_actions_are_pinned_to_a_commit(path: Path) -> None:
    assert loose_actions(path.read_text()) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
class TestWorkflow:
    def test_it_may_do_no_more_than_it_needs(self, path: Path) -> None:
        assert wide_permissions(load(path)) == []

    def test_it_holds_no_key(self, path: Path) -> None:
        """Google Cloud is reached by the workflow's own identity; nothing long-lived is stored."""
        text = path.read_text()
        assert "secrets." not in text and "credentials_json" not in text
        for step in re.split(r"(?m)^      - ", text):
            if "google-github-actions/auth@" in step:
                assert "workload_identity_provider:" in step

    def test_a_job_ends_by_itself(self, path: Path) -> None:
        for name, job in load(path)["jobs"].items():
            assert "uses" in job or 0 < job["timeout-minutes"] <= 120, name

    def test_a_checkout_leaves_no_token_behind(self, path: Path) -> None:
        for job in load(path)["jobs"].values():
            for step in job.get("steps", []):
                if "actions/checkout@" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] is False

    def test_what_it_runs_here_exists(self, path: Path) -> None:
        text = path.read_text()
        targets = set(re.findall(r"(?m)^([a-z-]+):", (REPOSITORY / "Makefile").read_text()))
        assert set(re.findall(r"run: make ([a-z-]+)", text)) <= targets
        for named in re.findall(r"(?<![\w/.])(?:tests|infra|requirements|beam_jobs|mlflow)/[\w./-]+\.\w+", text):
            assert (REPOSITORY / named).exists(), named


def test_production_comes_after_pre_production_and_by_approval() -> None:
    jobs = load(DELIVERY)["jobs"]
    assert jobs["production"]["needs"] == "pre-production"
    assert jobs["pre-production"]["needs"] == "pre-production-images"
    deploying = {name: job for name, job in jobs.items() if job["uses"].endswith("/deploy.yml")}
    assert {name: job["with"]["environment"] for name, job in deploying.items()} == {
        name: name for name in ("development", "pre-production", "production")
    }
    # the environment is what carries the protection rule
    deploy = load(DEPLOY)["jobs"]["deploy"]
    assert deploy["environment"] == "${{ inputs.environment }}"


def test_nothing_is_built_before_ci_has_passed() -> None:
    jobs = load(DELIVERY)["jobs"]
    assert jobs["ci"]["uses"] == "./.github/workflows/ci.yml"
    for name, job in jobs.items():
        if job["uses"].endswith("/images.yml"):
            assert job["needs"] == "ci", name
        elif name != "ci":
            assert job["needs"] in jobs, name
    ci = load(REPOSITORY / ".github/workflows/ci.yml")
    triggers = ci[True] if True in ci else ci["on"]  # type: ignore[index]  # YAML 1.1 takes `on` for a boolean
    assert "workflow_call" in triggers and "push" not in triggers, "a push would be tested twice"
    # Called, github.workflow is the caller's name, and groups do not tell cases apart: it would wait for itself
    groups = [load(path)["concurrency"]["group"] for path in (REPOSITORY / ".github/workflows/ci.yml", DELIVERY)]
    assert groups[0].partition("$")[0] == "ci-" and groups[1].partition("$")[0] == "delivery-"


def test_every_environment_has_a_platform_and_a_source_of_images() -> None:
    jobs = load(DELIVERY)["jobs"]
    platforms = {
        named[1]
        for path in (REPOSITORY / "infra/environments").glob("*/main.tf")
        if (named := re.search(r'deploy_environment += "([\w-]+)"', path.read_text()))
    }
    deployed = {job["with"]["environment"]: job for job in jobs.values() if job["uses"].endswith("/deploy.yml")}
    assert set(deployed) == platforms
    for environment, job in deployed.items():
        before = jobs[job["needs"]]
        if "from" in job["with"]:  # copied from an environment that has them
            assert job["with"]["from"] == f"${{{{ needs.{job['needs']}.outputs.images }}}}"
            assert before["uses"].endswith("/deploy.yml")
        else:
            assert before["uses"].endswith("/images.yml")
            assert before["with"]["environment"] == environment
    assert "from" in deployed["production"]["with"], "never rebuilt"
    planned = load(REPOSITORY / ".github/workflows/terraform.yml")["jobs"]["plan"]["strategy"]["matrix"]["include"]
    assert {each["github"] for each in planned} == {f"{name}-plan" for name in platforms}


def test_only_what_was_scanned_is_pushed_and_signed() -> None:
    steps = load(REPOSITORY / ".github/workflows/images.yml")["jobs"]["image"]["steps"]
    names = [step.get("name", step.get("uses", "")) for step in steps]
    scan = next(step for step in steps if step.get("with", {}).get("exit-code") == "1")
    assert scan["with"]["severity"] == "CRITICAL,HIGH"
    push = next(step for step in steps if step.get("name", "").startswith("Push, sign"))
    assert names.index(scan["name"]) < names.index(push["name"])
    assert "cosign sign" in push["run"] and "cosign attest" in push["run"]


def test_every_image_is_built_by_the_workflow() -> None:
    matrix = load(REPOSITORY / ".github/workflows/images.yml")["jobs"]["image"]["strategy"]["matrix"]["include"]
    for each in matrix:
        assert (REPOSITORY / each["file"]).exists()
        stages = re.findall(r"(?m)^FROM \S+ AS (\S+)", (REPOSITORY / each["file"]).read_text())
        assert each["target"] in ("", *stages)
    assert {each["name"] for each in matrix} >= {"worker", "airflow", "mlflow", "flink", "object-store"}


def test_every_lock_of_an_image_is_audited() -> None:
    text = (REPOSITORY / ".github/workflows/ci.yml").read_text()
    audited = re.search(r"for lock in (.+); do", text)
    assert audited is not None
    locks = {path.stem for path in (REPOSITORY / "requirements").glob("*.lock") if "--hash=" in path.read_text()}
    assert set(audited[1].split()) == locks


def test_what_is_wrong_is_found(tool: Any, tmp_path: Path) -> None:
    file = tmp_path / ".github/workflows/bad.yml"
    file.parent.mkdir(parents=True)
    file.write_text(
        "on: push\npermissions: write-all\njobs:\n  a:\n    runs-on: nowhere\n    steps:\n"
        "      - uses: actions/checkout@v4\n      - run: echo ${{ github.event.issue.title }}\n"
    )
    assert loose_actions(file.read_text()) == ["actions/checkout@v4"]
    assert wide_permissions(load(file)) == ["the workflow", "a"]
    linted = tool("actionlint", "-no-color", file)
    assert linted.returncode == 1 and "nowhere" in linted.stdout and "untrusted" in linted.stdout
    assert tool("zizmor", "--offline", "--no-progress", file).returncode != 0
