"""The first release of a fleet, before anything is measured: ``home``, ``data``, ``parameters``, ``shards``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import publish_first


def setup(config: Config) -> Work:
    """Return the work: prepare, train, publish."""
    home, data = Path(config["home"]), Path(config["data"])
    return lambda: {"units": publish_first(home, data, config.get("parameters"), config.get("shards"))}


if __name__ == "__main__":
    main(setup)
