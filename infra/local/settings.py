"""Addresses and environment of the local platform."""

from __future__ import annotations

import json
import os
import secrets
import socket
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ports:
    """Loopback ports of the services.

    Attributes:
        airflow: Airflow's API server and UI.
        mlflow: The tracking server.
        jobs: The job server's gRPC endpoint; Flink's REST API takes free ports of its own.
    """

    airflow: int = 18080
    mlflow: int = 15000
    jobs: int = 18099

    @classmethod
    def free(cls) -> Ports:
        """Return the default ports where they are free, and others where they are taken."""
        taken: set[int] = set()
        chosen = {}
        for name, wanted in asdict(cls()).items():
            port = wanted
            while port in taken or not _is_free(port):
                port += 100
            taken.add(port)
            chosen[name] = port
        return cls(**chosen)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(frozen=True)
class Secrets:
    """What the services of one home folder share; made once, kept in a file only its owner can read.

    Attributes:
        password: Of Airflow's user ``admin``.
        jwt: Signs tokens between Airflow's components.
        session: Signs the UI's cookies.
        fernet: Encrypts Airflow connections.
    """

    password: str
    jwt: str
    session: str
    fernet: str

    @classmethod
    def of(cls, home: Path) -> Secrets:
        """Return the secrets of a home folder, made on the first call."""
        path = home / "airflow" / "secrets.json"
        if path.exists():
            return cls(**json.loads(path.read_text()))
        path.parent.mkdir(parents=True, exist_ok=True)
        fernet = urlsafe_b64encode(secrets.token_bytes(32)).decode()
        made = cls(secrets.token_urlsafe(12), secrets.token_urlsafe(48), secrets.token_urlsafe(32), fernet)
        _write_private(path, json.dumps(asdict(made)))
        _write_private(path.with_name("passwords.json"), json.dumps({"admin": made.password}))
        return made


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def environment(home: Path, ports: Ports, socket_path: Path) -> dict[str, str]:
    """Return the environment of every supervised service.

    Args:
        home: Absolute path of the home folder.
        ports: Where each service listens.
        socket_path: supervisord's control socket.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # Where it is set, every process would compile every module anew: start-up takes twice as long
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    shared = Secrets.of(home)
    return inherited | {
        "PATH": f"{REPOSITORY / '.venv/bin'}:{os.environ.get('PATH', '')}",
        "MODELFLEET_REPOSITORY": str(REPOSITORY),
        "MODELFLEET_HOME": str(home),
        "MODELFLEET_FLEETS": os.environ.get("MODELFLEET_FLEETS", str(REPOSITORY / "fleets")),
        "MODELFLEET_JOB_PORT": str(ports.jobs),
        "MODELFLEET_SOCKET": str(socket_path),
        "MLFLOW_PORT": str(ports.mlflow),
        "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{ports.mlflow}",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "8",
        "AIRFLOW__CORE__FERNET_KEY": shared.fernet,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "airflow" / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(ports.airflow),
        # Workers call the API server at this address; without it they call port 8080 and every task fails
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{ports.airflow}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API__SECRET_KEY": shared.session,
        "AIRFLOW__API_AUTH__JWT_SECRET": shared.jwt,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow' / 'airflow.db'}",
        # A worker may else wait 5 s before it sees that its task has ended
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "great_expectations=WARNING",
    }
