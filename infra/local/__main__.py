"""``python -m infra.local up|down``: the platform without the demo."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from rich.console import Console

from infra.local.platform import Platform, PlatformError

console = Console(highlight=False)


def up(home: Path) -> int:
    """Start the platform and keep it until Ctrl-C or a TERM signal."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    try:
        with Platform(home, console.print) as platform:
            console.print(f"Airflow  {platform.airflow_url}  (admin / {platform.password})")
            console.print(f"MLflow   {platform.mlflow_url}")
            console.print("Ctrl-C stops everything.")
            while platform.running() and not stop.wait(1):
                pass
    except PlatformError as error:
        console.print(str(error), markup=False)
        return 4
    return 0


def down(home: Path) -> int:
    """Stop a platform started elsewhere."""
    try:
        pid = json.loads((home / "platform.json").read_text())["pid"]
        os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError, KeyError):
        console.print(f"no platform is running in {home}")
        return 0
    console.print(f"stopping the platform of {home}")
    return 0


if __name__ == "__main__":
    folder = Path(os.environ.get("MODELFLEET_HOME") or ".modelfleet").absolute()
    commands = {"up": up, "down": down}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        console.print("usage: python -m infra.local up|down")
        sys.exit(2)
    sys.exit(commands[sys.argv[1]](folder))
