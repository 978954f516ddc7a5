"""``python -m examples.demo [--stay]``: start the platform, play the story, show what happened, stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from examples.demo.airflow_client import AirflowClient, AirflowError
from examples.demo.story import FLEET, Story
from infra.local.platform import Platform, PlatformError
from modelfleet.errors import ModelfleetError
from modelfleet.home import Home

console = Console(highlight=False, soft_wrap=True)
started = time.monotonic()


def say(line: str) -> None:
    """Print one line of progress, with the seconds since the start."""
    console.print(f"[dim]{time.monotonic() - started:6.1f}[/] {line}")


def set_aside(home: Path) -> None:
    """Move what an earlier demo left out of the way: the story begins with a fleet that has no champion."""
    if not Home(home).fleet(FLEET).root.exists():
        return
    earlier = home / "earlier" / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    earlier.mkdir(parents=True)
    for left in home.iterdir():
        if left.name not in {"earlier", "cache"}:
            left.rename(earlier / left.name)
    say(f"what an earlier run left was moved to {earlier}")


def main(stay: bool) -> int:
    """Play the demo.

    Returns:
        0 when everything went as told, 1 when requests were lost, 4 when something did not come up or failed.
    """
    home = Path(os.environ.get("MODELFLEET_HOME") or ".modelfleet").absolute()
    home.mkdir(parents=True, exist_ok=True)
    set_aside(home)
    # A TERM must unwind like Ctrl-C does, so that no service is left behind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Platform(home, say) as platform:
            story = Story(AirflowClient(platform.airflow_url, "admin", platform.password), home, say)
            story.play()
            facts = story.facts(
                {
                    "Airflow": f"{platform.airflow_url} (admin / {platform.password})",
                    "MLflow": platform.mlflow_url,
                    "Data Docs": f"file://{Home(home).data_docs / FLEET / 'index.html'}",
                }
            )
            facts.write(home / "demo.json")
            facts.show(console)
            if stay:
                say("everything stays up; Ctrl-C stops it")
                _wait_for_interrupt()
            say("stopping")
    except (PlatformError, AirflowError, ModelfleetError) as error:
        console.print(f"the demo failed: {error}", markup=False, style="red")
        console.print(f"logs: {home / 'logs'}", markup=False)
        return 4
    say(f"done; the facts are in {home / 'demo.json'}")
    return 1 if facts.requests.lost else 0


def _wait_for_interrupt() -> None:
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    sys.exit(main(stay="--stay" in sys.argv[1:]))
