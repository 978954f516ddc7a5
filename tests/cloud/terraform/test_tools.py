"""A missing tool is said, with where to get it, and fails the tests instead of skipping them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.tests.workspace import INFRA

NEEDED = ("sh", "sed", "dirname", "cat", "cksum")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder for PATH with what any machine has, and neither Terraform nor Go."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        found = next(Path(each, name) for each in ("/usr/bin", "/bin") if Path(each, name).exists())
        (folder / name).symlink_to(found)
    return folder


def add(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def tools(path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INFRA / "tests/tools.sh"], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


def test_what_is_missing_is_named(bare: Path) -> None:
    done = tools(bare)
    assert done.returncode == 2
    assert "install Terraform 1.11 or newer" in done.stderr
    assert "Go 1.25 or newer" in done.stderr
    add(bare, "terraform", "Terraform v1.11.4")
    done = tools(bare)
    assert done.returncode == 2
    assert "Terraform 1.11" not in done.stderr
    add(bare, "go", "go version go1.26.8 linux/amd64")
    assert tools(bare).returncode == 0


@pytest.mark.parametrize(
    ("version", "code"), [("1.10.5", 2), ("0.15.0", 2), ("1.11.0", 0), ("1.14.2", 0), ("2.0.0", 0)]
)
def test_an_old_terraform_is_refused(bare: Path, version: str, code: int) -> None:
    add(bare, "terraform", f"Terraform v{version}")
    add(bare, "go", "go version go1.26.8 linux/amd64")
    done = tools(bare)
    assert done.returncode == code
    assert ("1.11 or newer, this is" in done.stderr) == (code == 2)


def test_the_tests_fail_without_the_tools(bare: Path) -> None:
    test = "tests/cloud/terraform/test_modules.py::test_everything_is_formatted"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test],
        cwd=INFRA.parent,
        env=os.environ | {"PATH": str(bare)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert "install Terraform 1.11 or newer" in done.stdout
    assert "skipped" not in done.stdout
