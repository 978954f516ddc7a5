"""The steps prepare, train and score called directly, without Beam: what Beam's overhead is measured against."""

from __future__ import annotations

import importlib.util
import os
import time
from pathlib import Path

from benchmarks.ours.fleet import FLEET
from modelfleet.run import Run


def threads(run: Run) -> int:
    """Return how many threads a step has."""
    return run.spec.resources.threads or os.cpu_count() or 1


def prepare_directly(run: Run) -> None:
    """Do what ``beam_jobs.prepare`` does."""
    from modelfleet.data.plan import make_plan
    from modelfleet.data.prepared import clear_results
    from modelfleet.data.reading import pieces_of

    champion = run.champion()
    index = None if champion is None else str(champion.path / champion.manifest.index.path)
    plan = make_plan(run.spec, entities=run.entities, champion_index=index)
    clear_results(run.folder)
    if importlib.util.find_spec("modelfleet.data.whole") is None:
        from benchmarks.ours.piecewise import prepare_pieces

        prepare_pieces(run, plan)
    else:
        from modelfleet.data.whole import prepare_here

        pieces = [piece for file in plan.files for piece in pieces_of(file)]
        prepare_here(plan, pieces, run.folder, threads(run))


def train_directly(run: Run) -> None:
    """Do what ``beam_jobs.train`` does: on one machine its pipeline has one transform, which does everything."""
    from beam_jobs.transforms.whole_fleet import TrainFleet

    TrainFleet(str(run.folder), threads(run), time.time()).process(b"")


def score_directly(root: Path, data: Path, output: Path) -> None:
    """Do what ``beam_jobs.score`` does.

    Args:
        root: The fleet's folder.
        data: What to score.
        output: Where predictions go.
    """
    from modelfleet.data.reading import pieces_of
    from modelfleet.releases.ledger import Ledger
    from modelfleet.serving import score_piece
    from modelfleet.serving.loading import load_release
    from modelfleet.spec.fleet import FleetSpec

    spec = FleetSpec.model_validate_json((root / "spec.json").read_bytes())
    release = Ledger(root / "releases").latest()
    assert release is not None
    fleet = load_release(release, fleet=FLEET)
    told, files = score_piece.files_to_score(spec, str(data), fleet.schemas.values())
    pieces = [piece for file in files for piece in pieces_of(file)]
    if hasattr(score_piece, "score_here"):
        score_piece.score_here(fleet, pieces, told, output, os.cpu_count() or 1)
    else:
        from benchmarks.ours.piecewise import score_pieces

        score_pieces(fleet, pieces, told, output)
