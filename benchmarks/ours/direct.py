"""The steps prepare, train and score called directly, without Beam: what Beam's overhead is measured against."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.ours.fleet import FLEET
from modelfleet.run import Run


def prepare_directly(run: Run) -> None:
    """Do what ``beam_jobs.prepare`` does."""
    from modelfleet.data.plan import make_plan
    from modelfleet.data.prepared import clear_results
    from modelfleet.data.reading import pieces_of
    from modelfleet.data.whole import prepare_here

    champion = run.champion()
    index = None if champion is None else str(champion.path / champion.manifest.index.path)
    plan = make_plan(run.spec, entities=run.entities, champion_index=index)
    clear_results(run.folder)
    pieces = [piece for file in plan.files for piece in pieces_of(file)]
    prepare_here(plan, pieces, run.folder, run.spec.worker_threads)


def train_directly(run: Run) -> None:
    """Do what ``beam_jobs.train`` does: on one machine its pipeline has one transform, which does everything."""
    from beam_jobs.transforms.whole_fleet import TrainFleet

    TrainFleet(run.workplace(), run.spec.worker_threads, time.time()).process(b"")


def score_directly(root: Path, data: Path, output: Path) -> None:
    """Do what ``beam_jobs.score`` does.

    Args:
        root: The fleet's folder.
        data: What to score.
        output: Where predictions go.
    """
    from modelfleet.data.reading import pieces_of
    from modelfleet.releases.ledger import Ledger
    from modelfleet.serving.loading import load_release
    from modelfleet.serving.score_piece import files_to_score, score_here
    from modelfleet.spec.fleet import FleetSpec

    spec = FleetSpec.model_validate_json((root / "spec.json").read_bytes())
    release = Ledger(root / "releases").latest()
    assert release is not None
    fleet = load_release(release, fleet=FLEET, lazy=True)
    told, files = files_to_score(spec, str(data), fleet.schemas.values())
    pieces = [piece for file in files for piece in pieces_of(file)]
    score_here(fleet, pieces, told, output, os.cpu_count() or 1)
