"""Every module and environment: formatted, valid, tested, and its plan as committed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra.tests.golden import RUN, golden_file, shown
from infra.tests.workspace import ENVIRONMENTS, INFRA, MODULES, Workspace

FOLDERS = [*MODULES, *ENVIRONMENTS]


def example_of(readme: str) -> str:
    """Return the one HCL block of a README."""
    blocks = re.findall(r"^```hcl\n(.*?)^```$", readme, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    return str(blocks[0])


def declared(folder: Path, keyword: str) -> dict[str, str]:
    """Return the variables or the outputs of a folder: name to what stands in its block."""
    text = "".join(path.read_text() for path in folder.glob("*.tf"))
    return dict(re.findall(rf'^{keyword} "(\w+)" \{{\n(.*?)^\}}', text, flags=re.MULTILINE | re.DOTALL))


def test_everything_is_formatted(workspace: Workspace) -> None:
    done = workspace.terraform(".", "fmt", "-check", "-recursive", "-diff")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("folder", FOLDERS)
def test_valid(workspace: Workspace, folder: str) -> None:
    assert workspace.validate(folder) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_tests_pass(workspace: Workspace, folder: str) -> None:
    tested = workspace.test(folder)
    assert tested.complaints == []
    assert tested.outcomes
    assert set(tested.outcomes.values()) == {"pass"}


@pytest.mark.parametrize("folder", MODULES)
def test_the_plan_is_the_one_that_was_reviewed(workspace: Workspace, folder: str) -> None:
    """After a change that is meant: `.venv/bin/python -m infra.tests.golden`, and read the difference."""
    plan = shown(workspace.test(folder).plans[RUN])
    assert json.loads(plan) == json.loads(golden_file(folder).read_text())
    assert json.loads(plan)


@pytest.mark.parametrize("folder", MODULES)
def test_the_example_of_the_readme_is_the_one_that_is_planned(folder: str) -> None:
    assert example_of((INFRA / folder / "README.md").read_text()) == (INFRA / folder / "example/main.tf").read_text()


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_goes_in_and_out_is_described(folder: str) -> None:
    variables, outputs = declared(INFRA / folder, "variable"), declared(INFRA / folder, "output")
    assert variables
    assert outputs
    for name, block in variables.items():
        assert re.search(r'^  description = ".{10,}"$', block, flags=re.MULTILINE), name
        assert re.search(r"^  type += ", block, flags=re.MULTILINE), name
    for name, block in outputs.items():
        assert re.search(r'^  description = ".{10,}"$', block, flags=re.MULTILINE), name


def test_every_rule_of_a_variable_is_seen_to_refuse() -> None:
    """A variable with a validation has a run that expects it to fail."""
    untested = [
        f"{folder}: {name}"
        for folder in MODULES
        for name, block in declared(INFRA / folder, "variable").items()
        if "validation {" in block
        and f"expect_failures = [var.{name}]" not in next((INFRA / folder).glob("*.tftest.hcl")).read_text()
    ]
    assert untested == []


def test_the_environments_differ_only_in_size() -> None:
    prod, *others = (INFRA / folder for folder in reversed(ENVIRONMENTS))
    assert {folder.name for folder in (prod, *others)} == {"dev", "preprod", "prod"}
    for other in others:
        for name in ("variables.tf", "outputs.tf"):
            assert (other / name).read_text() == (prod / name).read_text()
        versions = (prod / "versions.tf").read_text().replace("prod", other.name)
        assert (other / "versions.tf").read_text() == versions
        arguments = [
            re.findall(r"^  (\w+) +=", (folder / "main.tf").read_text(), flags=re.MULTILINE) for folder in (other, prod)
        ]
        assert arguments[0] == arguments[1]
