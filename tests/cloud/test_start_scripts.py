"""The images' start scripts: what they make of secret files, and what they start. The program itself is a stand-in."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SECRETS = {"database": "d4t4", "key": "a1b2", "secret": "c3d4", "admin": "let me in"}


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, Path]:
    """Write one file per secret, each with the line end that editors leave."""
    paths = {}
    for name, value in SECRETS.items():
        paths[name] = tmp_path / f"{name}.secret"
        paths[name].write_text(f"{value}\n")
    return paths


@pytest.fixture
def run(tmp_path: Path):
    """Run a script; the program of this name tells its arguments and the environment it was started with."""

    def start(script: str, program: str, *arguments: str, **environment: str | Path) -> dict[str, object]:
        told = tmp_path / "told.json"
        stand_in = tmp_path / "bin" / program
        stand_in.parent.mkdir(exist_ok=True)
        stand_in.write_text(
            "#!/usr/bin/env python3\nimport json, os, sys\n"
            "told = {'arguments': sys.argv[1:], 'environment': dict(os.environ)}\n"
            f"open({str(told)!r}, 'w').write(json.dumps(told))\n"
        )
        stand_in.chmod(0o755)
        given = {name: str(value) for name, value in environment.items()}
        path = {"PATH": f"{stand_in.parent}:{REPOSITORY / '.venv/bin'}:{os.environ['PATH']}"}
        done = subprocess.run(
            [REPOSITORY / script, *arguments], env=path | given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, object] = json.loads(told.read_text())
        return found

    return start


def test_mlflow_gets_its_stores_by_the_environment(run, secrets, tmp_path):
    told = run(
        "mlflow/serve.sh", "mlflow",
        MODELFLEET_HOME=tmp_path, MLFLOW_HOST="0.0.0.0", MLFLOW_PORT="5000",
        MLFLOW_DATABASE="postgresql+psycopg2://mlflow:{password}@postgres:5432/mlflow",
        MLFLOW_DATABASE_PASSWORD_FILE=secrets["database"], MLFLOW_ARTIFACTS="s3://mlflow/artifacts",
        MLFLOW_S3_KEY_FILE=secrets["key"], MLFLOW_S3_SECRET_FILE=secrets["secret"],
    )  # fmt: skip
    environment = told["environment"]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql+psycopg2://mlflow:d4t4@postgres:5432/mlflow"
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://mlflow/artifacts"
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) == ("a1b2", "c3d4")
    assert told["arguments"] == ["server", "--host", "0.0.0.0", "--port", "5000", "--workers", "1"]
    assert not (tmp_path / "mlflow").exists()


def test_mlflow_keeps_files_on_loopback_where_nothing_is_said(run, tmp_path):
    told = run("mlflow/serve.sh", "mlflow", MODELFLEET_HOME=tmp_path, MLFLOW_PORT="5000")
    assert told["environment"]["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert told["arguments"][:3] == ["server", "--host", "127.0.0.1"]
    assert (tmp_path / "mlflow/artifacts").is_dir()


def test_airflow_gets_a_copy_of_the_password_that_only_it_can_read(run, secrets, tmp_path):
    passwords = tmp_path / "passwords.json"
    told = run(
        "infra/images/airflow/start.sh", "airflow", "api-server",
        MODELFLEET_ADMIN_PASSWORD_FILE=secrets["admin"],
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=passwords,
    )  # fmt: skip
    assert told["arguments"] == ["api-server"]
    assert json.loads(passwords.read_text()) == {"admin": "let me in"}
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600


def test_airflow_is_started_as_its_chart_does(run):
    told = run("infra/images/airflow/start.sh", "airflow", "bash", "-c", "exec airflow scheduler")
    assert told["arguments"] == ["scheduler"]


@pytest.mark.parametrize("role", ["job-manager", "task-manager", "job-server"])
def test_a_part_of_the_cluster_is_told_where_the_others_are(run, tmp_path, role):
    told = run(
        "infra/flink/start.sh", "java", role,
        MODELFLEET_HOME=tmp_path / "home", MODELFLEET_JOB_SERVER_JAR="/the.jar", FLINK_JOB_MANAGER="manager",
        FLINK_HOST="me", TMPDIR=tmp_path,
    )  # fmt: skip
    arguments = told["arguments"]
    if role == "job-server":
        assert {"--flink-master=manager:8081", "--job-host=me", "--job-port=8099"} <= set(arguments)
    else:
        assert {"jobmanager.rpc.address=manager", "rest.port=8081"} <= set(arguments)
    if role == "task-manager":
        assert "taskmanager.host=me" in arguments
    assert told["environment"]["FLINK_PLUGINS_DIR"] == f"{tmp_path}/flink/plugins"
    assert (tmp_path / "home/flink/checkpoints").is_dir()


def test_an_unknown_role_is_refused(tmp_path):
    environment = {"MODELFLEET_HOME": str(tmp_path), "FLINK_JOB_MANAGER": "m", "MODELFLEET_JOB_SERVER_JAR": "j"}
    command = [REPOSITORY / "infra/flink/start.sh", "job-sever"]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "usage" in done.stderr
