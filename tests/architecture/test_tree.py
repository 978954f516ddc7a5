"""What the tree promises a reader."""

from __future__ import annotations

import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
NOTHING_SAYING = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
LONGEST_FILE = 350


def tracked(*patterns: str) -> list[Path]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [path for name in done.stdout.splitlines() if (path := REPOSITORY / name).exists()]


def test_no_python_in_the_mlflow_folder() -> None:
    """A module there would shadow the library of that name."""
    assert [path for path in tracked("mlflow") if path.suffix == ".py"] == []


def test_names_say_something() -> None:
    assert [path for path in tracked("*.py") if path.stem in NOTHING_SAYING] == []


def test_files_are_short() -> None:
    long = {
        path.name: lines for path in tracked("*.py") if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert long == {}


def test_dag_files_are_wiring() -> None:
    long = {path.name: lines for path in tracked("dags/*.py") if (lines := len(path.read_text().splitlines())) > 80}
    assert long == {}


def test_every_extra_named_in_the_readme_exists() -> None:
    import tomllib

    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {"beam", "airflow", "mlflow", "validation", "fast", "torch", "gcp", "kafka", "all", "dev"}
    assert wanted <= set(extras)


def test_lock_files_name_no_registry() -> None:
    for lock in tracked("requirements/*"):
        assert "://" not in lock.read_text(), lock
