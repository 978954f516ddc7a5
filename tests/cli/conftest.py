"""The command line, run as a person runs it: another process, its own home folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelfleet.home import Home
from modelfleet.registry.mlflow import MlflowRegistry


@dataclass(frozen=True)
class Ended:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow database without a run: its tables cost seconds to make, and every test wants its own."""
    home = Home(tmp_path_factory.mktemp("mlflow"))
    MlflowRegistry(f"sqlite:///{home.mlflow / 'mlflow.db'}").floor("nothing")
    return home.mlflow / "mlflow.db"


@pytest.fixture
def modelfleet(tmp_path: Path, empty_mlflow: Path) -> Command:
    """Run ``modelfleet`` in a folder of its own."""
    own = Home(tmp_path / "home").mlflow / "mlflow.db"
    own.parent.mkdir(parents=True)
    shutil.copyfile(empty_mlflow, own)

    def run(*words: str | Path, env: dict[str, str] | None = None) -> Ended:
        inherited = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
        done = subprocess.run(
            [sys.executable, "-m", "modelfleet", *map(str, words)],
            cwd=tmp_path,
            env=inherited | {"MODELFLEET_HOME": str(tmp_path / "home"), "COLUMNS": "160"} | (env or {}),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
