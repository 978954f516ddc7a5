"""Loading what serves: every hash checked, every file read, some models tried. ``home``, ``warm_home``."""

from __future__ import annotations

from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import FLEET


def setup(config: Config) -> Work:
    """Warm up and return the work."""
    from modelfleet.releases.ledger import Ledger
    from modelfleet.serving.loading import load_release

    def load(home: str) -> dict[str, int]:
        release = Ledger(Path(home) / "fleets" / FLEET / "releases").latest()
        assert release is not None
        fleet = load_release(release, fleet=FLEET)
        files = (path for path in fleet.models.bundle.path.rglob("*") if path.is_file())
        return {"units": len(fleet.models.entities), "bytes": sum(path.stat().st_size for path in files)}

    load(config["warm_home"])
    return lambda: load(config["home"])


if __name__ == "__main__":
    main(setup)
