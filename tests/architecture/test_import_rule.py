"""dags and plugins may import modelfleet, never beam_jobs; beam_jobs may import modelfleet; modelfleet neither."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def lint_imports(folder: Path, config: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BIN / "lint-imports", "--config", config, "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": f"{folder}:{folder / 'plugins'}:{folder / 'src'}", "PATH": str(BIN)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_rule_holds() -> None:
    done = lint_imports(REPOSITORY, REPOSITORY / "pyproject.toml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("package", "statement"),
    [
        ("modelfleet", "import beam_jobs"),
        ("modelfleet", "import apache_beam"),
        ("modelfleet", "import airflow"),
        ("beam_jobs", "import modelfleet_airflow"),
        ("beam_jobs", "import airflow"),
        ("modelfleet_airflow", "import beam_jobs"),
        ("modelfleet_airflow", "import apache_beam"),
    ],
)
def test_a_breach_is_found(tmp_path: Path, package: str, statement: str) -> None:
    for name in ("modelfleet", "beam_jobs", "modelfleet_airflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / package / "breach.py").write_text(f"def f():\n    {statement}\n")
    config = tmp_path / "pyproject.toml"
    config.write_text((REPOSITORY / "pyproject.toml").read_text())
    done = lint_imports(tmp_path, config)
    assert done.returncode == 1
    assert f"{package}.breach" in done.stdout


def test_heavy_libraries_are_banned_at_module_level(tmp_path: Path) -> None:
    config = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    banned = config["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-module-level-imports"]
    assert {"apache_beam", "mlflow", "sklearn", "torch", "pandas", "great_expectations", "airflow"} <= set(banned)
    (tmp_path / "src").mkdir()
    source = tmp_path / "src" / "heavy.py"
    source.write_text('"""A module."""\n\nimport mlflow\n\nprint(mlflow)\n')
    done = subprocess.run(
        [BIN / "ruff", "check", "--no-cache", "--config", REPOSITORY / "pyproject.toml", source],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TID253" in done.stdout


def test_the_command_line_starts_without_heavy_libraries() -> None:
    code = (
        "import sys; import modelfleet.cli.main; "
        "print(sorted({'apache_beam', 'airflow', 'mlflow', 'sklearn', 'torch', 'pandas', 'great_expectations'}"
        " & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
