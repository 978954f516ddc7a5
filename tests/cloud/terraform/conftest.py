from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.tests.workspace import INFRA, Workspace


@pytest.fixture(scope="session")
def provider() -> None:
    """Build the stand-in for the google provider; a missing tool fails the tests, with what to install."""
    done = subprocess.run([INFRA / "tests" / "tools.sh"], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        done = subprocess.run([INFRA / "tests/provider/build.sh"], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)


@pytest.fixture(scope="session")
def workspace(provider: None, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A copy of infra/ that all tests share, and none changes."""
    return Workspace(tmp_path_factory.mktemp("terraform") / "infra")


@pytest.fixture
def changed(workspace: Workspace, tmp_path: Path) -> Callable[[str, str, str], Workspace]:
    """Return a function that makes a copy in which one text of one file is another."""

    def change(file: str, old: str, new: str) -> Workspace:
        copy = Workspace(tmp_path / "infra")
        path = copy.folder / file
        text = path.read_text()
        assert text.count(old) == 1, f"{file} has {text.count(old)} times {old!r}"
        path.write_text(text.replace(old, new))
        return copy

    return change
