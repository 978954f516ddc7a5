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
            score_directly(root, data, output)
        return {"units": pq.read_metadata(output).num_rows}


def score_directly(root: Path, data: Path, output: Path) -> None:
    """Do what ``beam_jobs.score`` does, piece by piece in this thread."""
    from modelfleet.data.reading import pieces_of
    from modelfleet.releases.ledger import Ledger
    from modelfleet.serving.loading import load_release
    from modelfleet.serving.score_piece import files_to_score, join_parts, score_piece
    from modelfleet.spec.fleet import FleetSpec

    spec = FleetSpec.model_validate_json((root / "spec.json").read_bytes())
    release = Ledger(root / "releases").latest()
    assert release is not None
    fleet = load_release(release, fleet=spec.fleet)
    told, files = files_to_score(spec, str(data), fleet.schemas.values())
    parts = output.with_name("parts")
    parts.mkdir()
    pieces = [piece for file in files for piece in pieces_of(file)]
    join_parts([score_piece(fleet, piece, told, parts, number) for number, piece in enumerate(pieces)], output)


def setup(config: Config) -> Work:
    """Warm up and return the work."""
    beam = bool(config.get("beam", True))
    score(Path(config["warm_home"]), Path(config["warm_data"]), beam=beam)
    return lambda: score(Path(config["home"]), Path(config["data"]), beam=beam)


if __name__ == "__main__":
    main(setup)
