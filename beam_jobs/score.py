"""Scores files with what a fleet serves.

``python -m beam_jobs.score --fleet-home=.modelfleet/fleets/income --spec=spec.json --input=new.parquet
--output=scored.parquet [--generation=12] --runner=... ``. Rows that cannot be predicted are listed, with the reason, in
``scored_bad_rows.parquet`` beside the output.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.batch_job import run_to_end
from beam_jobs.launcher import launch
from beam_jobs.pipelines.score import PARTS, ScoreConfig, build_score
from modelfleet.data.objects import Copies, fetch_objects, is_below_bucket
from modelfleet.data.reading import pieces_of
from modelfleet.errors import LedgerEmptyError
from modelfleet.home import FleetHome, Home
from modelfleet.releases.ledger import Ledger
from modelfleet.serving.loading import load_release
from modelfleet.serving.score_output import deliver, output_here
from modelfleet.serving.score_piece import files_to_score
from modelfleet.serving.scored_file import bad_rows_path
from modelfleet.spec.fleet import FleetSpec
from modelfleet.workplace import INPUTS, Workplace

logger = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.score", description=__doc__, allow_abbrev=False)
    parser.add_argument("--fleet-home", "--fleet_home", type=Path, required=True)
    parser.add_argument("--spec", type=Path, required=True, help="the spec as JSON")
    parser.add_argument("--input", required=True, help="a file, a glob or a folder, or the same below a bucket")
    parser.add_argument("--output", required=True, help="a Parquet file, on this machine or below a bucket")
    parser.add_argument("--generation", type=int, help="which release predicts; the newest if left out")
    known, rest = parser.parse_known_args(arguments)
    return launch(lambda: _score(known, rest))


def _workplace(spec: FleetSpec, folders: FleetHome, output: Path) -> Workplace:
    """Return where the parts of an output are made; the same place for the same output, so that a retry finds it."""
    above = folders.shared_scores if spec.engine == "dataflow" else None
    name = hashlib.sha256(str(output).encode()).hexdigest()[:16]
    return Workplace.at(output.with_name(f".{output.name}.work"), above and above / name)


def _score(known: argparse.Namespace, rest: list[str]) -> None:
    spec = FleetSpec.model_validate_json(known.spec.read_bytes())
    fleet_home: Path = known.fleet_home.absolute()
    folders = Home.at(fleet_home.parents[1]).fleet(fleet_home.name)
    output = output_here(folders, known.output)
    with _copies(known.input, output) as copies:
        generation = _score_here(spec, folders, known.input, copies, output, known.generation, rest)
    deliver(output, known.output)
    logger.info("generation %d scored %s into %s", generation, known.input, known.output)


@contextmanager
def _copies(named: str, output: Path) -> Iterator[Copies | None]:
    """Copy an input that lies below a bucket beside the output, for as long as it is scored."""
    if not is_below_bucket(named):
        yield None
        return
    folder = output.with_name(f".{output.name}.input")
    shutil.rmtree(folder, ignore_errors=True)  # of a try before, which may have read other rows
    try:
        yield fetch_objects(named, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _score_here(
    spec: FleetSpec,
    folders: FleetHome,
    named: str,
    copies: Copies | None,
    output: Path,
    generation: int | None,
    rest: list[str],
) -> int:
    """Score files into one of this machine; return the generation that predicted."""
    ledger = Ledger(folders.releases)
    release = ledger.latest() if generation is None else ledger.get(generation)
    if release is None:
        raise LedgerEmptyError(spec.fleet)
    # Here too, so that a bad one is told before anything is submitted; alone, this process is the worker
    fleet = load_release(release, fleet=spec.fleet, lazy=spec.engine == "local")
    data, files = files_to_score(spec, named if copies is None else copies.source, fleet.schemas.values())
    if copies is not None:
        files = copies.named(files)
    place = _workplace(spec, folders, output)
    config = ScoreConfig(
        fleet=spec.fleet,
        release=release.model_dump_json(),
        data=data.model_dump_json(exclude_unset=True),
        place=place,
        output=str(output),
        alone=spec.engine == "local",
        threads=spec.worker_threads,
        hint=spec.resources.hints.score.as_arguments() if spec.engine == "dataflow" else {},
    )

    def build(pipeline: beam.Pipeline) -> None:
        shutil.rmtree(place.folder, ignore_errors=True)
        place.clear(f"{PARTS}/*", "*")
        place.send(inputs=files)
        build_score(pipeline, [piece for file in files for piece in pieces_of(file)], config)

    run_to_end(PipelineOptions(rest), build)
    if place.url is not None:
        bad_rows_path(output).unlink(missing_ok=True)
        place.fetch("*.parquet")
        for made in Path(place.folder).glob("*.parquet"):
            made.replace(output.with_name(made.name))
        place.clear(f"{PARTS}/*", f"{INPUTS}/*", "*")
    shutil.rmtree(place.folder, ignore_errors=True)
    return release.generation


if __name__ == "__main__":
    sys.exit(main())
