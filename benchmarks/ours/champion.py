"""The first release of a fleet, before anything is measured: ``home``, ``data``, ``parameters``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import publish_first


def setup(config: Config) -> Work:
    """Return the work: prepare, train, publish."""
    return lambda: {"units": publish_first(Path(config["home"]), Path(config["data"]), config.get("parameters"))}


if __name__ == "__main__":
    main(setup)
