"""Servers that speak as Google's and Amazon's do, each on a free port of the loopback until it is closed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

TOOLS = Path(os.environ.get("MODELFLEET_BUILD", Path(__file__).resolve().parents[2] / ".build")) / "cloud"


class Emulator:
    """A process that answers on a port.

    Attributes:
        address: ``127.0.0.1:PORT``.
    """

    def __init__(self, command: list[str | Path], address: str, log: Path) -> None:
        self.address = address
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stream, stderr=stream)

    def wait(self, path: str = "/", seconds: float = 60.0) -> None:
        """Wait until it answers HTTP, whatever it says."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5):
                    return
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"no answer: {self._log.read_text()}") from None
                time.sleep(0.05)

    def close(self) -> None:
        """End it, stopped or not."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def start_gcs(log: Path) -> Emulator:
    """Start fake-gcs-server; it keeps everything in memory."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    command = [
        TOOLS / "bin/fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
        "-backend", "memory", "-public-host", address, "-external-url", f"http://{address}", "-log-level", "error",
    ]  # fmt: skip
    emulator = Emulator(command, address, log)
    emulator.wait("/storage/v1/b")
    return emulator


def start_s3(log: Path) -> Emulator:
    """Start moto's server; it keeps everything in memory."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    emulator = Emulator([TOOLS / "python/bin/moto_server", "-H", "127.0.0.1", "-p", str(port)], address, log)
    emulator.wait("/")
    return emulator


def start_pubsub(log: Path) -> Emulator:
    """Start Google's pstest; it says its address in its first line."""
    emulator = Emulator([TOOLS / "bin/pubsub"], "", log)
    deadline = time.monotonic() + 60
    while not (text := log.read_text()).endswith("\n"):
        assert time.monotonic() < deadline, text
        assert emulator.process.poll() is None, text
        time.sleep(0.02)
    emulator.address = text.strip().splitlines()[0].replace("[::]", "127.0.0.1")
    return emulator
