"""Ports on the loopback interface, the only one that local servers listen on."""

from __future__ import annotations

import contextlib
import socket
from typing import Literal

from modelfleet.errors import EngineUnavailableError

HOST: Literal["127.0.0.1"] = "127.0.0.1"


def listens(port: int, host: str = HOST) -> bool:
    """Return whether something listens on a port, of this machine or of another one that is named."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Return a port that nothing listens on just now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def free_range(length: int) -> tuple[int, int]:
    """Return the first and the last of so many free ports in a row.

    Raises:
        EngineUnavailableError: There are none.
    """
    for _ in range(100):
        first = free_port()
        with contextlib.ExitStack() as probes, contextlib.suppress(OSError, OverflowError):
            for port in range(first, first + length):
                probes.enter_context(socket.socket()).bind((HOST, port))
            return first, first + length - 1
    raise EngineUnavailableError(f"no {length} free ports in a row on {HOST}")
