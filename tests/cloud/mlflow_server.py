"""MLflow's server as the Compose file and Terraform start it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from tests.cloud.emulators import free_port

REPOSITORY = Path(__file__).resolve().parents[2]


class MlflowServer:
    """Started at once, and asked for when it is needed.

    Args:
        home: For its database and its log.
        settings: What the platform sets.
    """

    def __init__(self, home: Path, settings: dict[str, str]) -> None:
        home.mkdir()
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        own = {"MODELFLEET_HOME": str(home), "MLFLOW_PORT": str(port)}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._log = home / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [REPOSITORY / "mlflow/serve.sh"],
                env={**os.environ, "PATH": path, **own, **settings},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self, seconds: float = 120) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except OSError:
                assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def close(self) -> None:
        """End it, and its workers too."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
