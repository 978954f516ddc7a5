"""Scoring a file with what serves: ``home``, ``data``, ``warm_home``, ``warm_data``, ``beam`` (true if left out)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import FLEET, RUNNER


def score(home: Path, data: Path, *, beam: bool) -> dict[str, int]:
    """Score a file into another, and return the number of rows."""
    import pyarrow.parquet as pq

    root = home / "fleets" / FLEET
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "scored.parquet"
        if beam:
            from beam_jobs.score import main as job

            arguments = ["--fleet-home", str(root), "--spec", str(root / "spec.json"), "--input", str(data)]
            code = job([*arguments, "--output", str(output), *RUNNER])
            if code:
                raise SystemExit(f"beam_jobs.score ended with {code}")
        else:
            from benchmarks.ours.direct import score_directly

            score_directly(root, data, output)
        return {"units": pq.read_metadata(output).num_rows}


def setup(config: Config) -> Work:
    """Warm up and return the work."""
    beam = bool(config.get("beam", True))
    score(Path(config["warm_home"]), Path(config["warm_data"]), beam=beam)
    return lambda: score(Path(config["home"]), Path(config["data"]), beam=beam)


if __name__ == "__main__":
    main(setup)
