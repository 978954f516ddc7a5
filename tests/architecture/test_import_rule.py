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


@pytest.fixture
def skeleton(tmp_path: Path) -> Path:
    """The packages of this repository, empty, and its import rules."""
    for name in ("beam_jobs", "benchmarks", "modelfleet_airflow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    for path in (REPOSITORY / "src" / "modelfleet").glob("*"):
        if path.suffix == ".py" or (path / "__init__.py").exists():
            module = tmp_path / "modelfleet" / (path.name if path.suffix else f"{path.name}/__init__.py")
            module.parent.mkdir(parents=True, exist_ok=True)
            module.touch()
    (tmp_path / "pyproject.toml").write_text((REPOSITORY / "pyproject.toml").read_text())
    return tmp_path


def test_the_skeleton_breaks_no_rule(skeleton: Path) -> None:
    done = lint_imports(skeleton, skeleton / "pyproject.toml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("package", "statement"),
    [
        ("modelfleet.loop", "import beam_jobs"),
        ("modelfleet.loop", "import apache_beam"),
        ("modelfleet.loop", "import airflow"),
        ("modelfleet.cli", "import benchmarks"),
        ("beam_jobs", "import benchmarks"),
        ("beam_jobs", "import modelfleet_airflow"),
        ("beam_jobs", "import airflow"),
        ("modelfleet_airflow", "import beam_jobs"),
        ("modelfleet_airflow", "import apache_beam"),
        ("modelfleet.data", "import modelfleet.bundles"),
        ("modelfleet.spec", "import modelfleet.data"),
        ("modelfleet.registry", "import modelfleet.loop"),
        ("modelfleet.training", "import modelfleet.engines"),
    ],
)
def test_a_breach_is_found(skeleton: Path, package: str, statement: str) -> None:
    (skeleton / package.replace(".", "/") / "breach.py").write_text(f"def f():\n    {statement}\n")
    done = lint_imports(skeleton, skeleton / "pyproject.toml")
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
