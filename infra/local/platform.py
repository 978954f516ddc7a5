"""Starting, checking and stopping the local platform."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from infra.local.settings import REPOSITORY, Ports, Secrets, environment

AIRFLOW_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class PlatformError(RuntimeError):
    """A service did not come up; the message ends with the last lines of its log."""


class Platform:
    """Airflow, MLflow and the Flink job server of one home folder.

    Attributes:
        home: The home folder.
        ports: Where the services listen.
        say: Told, in one line, what is going on.
    """

    def __init__(self, home: Path, say: Callable[[str], None]) -> None:
        self.home = home.absolute()
        self.ports = Ports.free()
        self.say = say
        # A Unix socket's path must be short; the home folder's need not be
        self._run_folder = Path(tempfile.mkdtemp(prefix="modelfleet-"))
        self.environment = environment(self.home, self.ports, self._run_folder / "supervisor.sock")
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def airflow_url(self) -> str:
        """Airflow's UI and REST API."""
        return f"http://127.0.0.1:{self.ports.airflow}"

    @property
    def mlflow_url(self) -> str:
        """MLflow's UI and REST API."""
        return f"http://127.0.0.1:{self.ports.mlflow}"

    @property
    def password(self) -> str:
        """The password of Airflow's user ``admin``."""
        return Secrets.of(self.home).password

    def __enter__(self) -> Platform:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, timeout_seconds: float = 180.0) -> None:
        """Start everything and wait until every service says that it is healthy.

        Raises:
            PlatformError: One did not within the time limit, or died.
        """
        (self.home / "logs").mkdir(parents=True, exist_ok=True)
        self.say("preparing Airflow's database")
        self._migrate()
        config = REPOSITORY / "infra/local/supervisord.conf"
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env=self.environment,
            cwd=self.home,
            start_new_session=True,  # Ctrl-C reaches us first, and we stop it in order
        )
        (self.home / "platform.json").write_text(json.dumps({"pid": self._supervisor.pid, **asdict(self.ports)}))
        deadline = time.monotonic() + timeout_seconds
        waiting: dict[str, tuple[Callable[[], bool], str]] = {
            "MLflow": (self._mlflow_healthy, "mlflow"),
            "Flink job server": (self._job_server_healthy, "job-server"),
            "Airflow": (self._airflow_healthy, "airflow-api-server"),
        }
        started = time.monotonic()
        try:
            while waiting:
                for name in [name for name, (healthy, _) in waiting.items() if healthy()]:
                    del waiting[name]
                    self.say(f"{name} is healthy after {time.monotonic() - started:.1f} s")
                if waiting and (time.monotonic() > deadline or self._supervisor.poll() is not None):
                    name, (_, log) = next(iter(waiting.items()))
                    raise PlatformError(f"{name} did not come up:\n{self._last_lines(log)}")
                time.sleep(0.3)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop every service and wait until none is left."""
        if self._supervisor is not None and self._supervisor.poll() is None:
            self._supervisor.send_signal(signal.SIGTERM)
            try:
                self._supervisor.wait(60)
            except subprocess.TimeoutExpired:
                # Airflow's scheduler has been seen to hang on its way out
                os.killpg(self._supervisor.pid, signal.SIGKILL)
                self._supervisor.wait()
        self._supervisor = None
        (self.home / "platform.json").unlink(missing_ok=True)
        shutil.rmtree(self._run_folder, ignore_errors=True)

    def running(self) -> bool:
        """Return whether supervisord still lives."""
        return self._supervisor is not None and self._supervisor.poll() is None

    def control(self, *words: str) -> str:
        """Return what ``supervisorctl`` answers, such as to ``("restart", "mlflow")``."""
        config = REPOSITORY / "infra/local/supervisord.conf"
        command = [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(config), *words]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        return done.stdout + done.stderr

    def _migrate(self) -> None:
        done = subprocess.run(
            ["airflow", "db", "migrate"], env=self.environment, capture_output=True, text=True, check=False, timeout=300
        )
        (self.home / "logs" / "airflow-migrate.log").write_text(done.stdout + done.stderr)
        if done.returncode:
            raise PlatformError(f"`airflow db migrate` failed:\n{self._last_lines('airflow-migrate')}")

    def _airflow_healthy(self) -> bool:
        health = _json(f"{self.airflow_url}/api/v2/monitor/health")
        return all(health.get(part, {}).get("status") == "healthy" for part in AIRFLOW_PARTS)

    def _mlflow_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.mlflow_url}/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def _job_server_healthy(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.ports.jobs), timeout=1):
                return True
        except OSError:
            return False

    def _last_lines(self, log: str, lines: int = 15) -> str:
        path = self.home / "logs" / f"{log}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return f"{path}:\n" + "\n".join(text.splitlines()[-lines:])


def _json(url: str) -> dict[str, Any]:
    try:
        answer = httpx.get(url, timeout=2)
        return dict(answer.json()) if answer.is_success else {}
    except (httpx.HTTPError, ValueError):
        return {}
