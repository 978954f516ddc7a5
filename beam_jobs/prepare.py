"""Prepare a run's data: ``python -m beam_jobs.prepare --run=<run folder> [Beam's options]``."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from dataclasses import replace

from beam_jobs.launcher import launch
from modelfleet.data.bigquery import fetch_table, is_table
from modelfleet.data.objects import Copies, fetch_objects, is_below_bucket
from modelfleet.data.plan import make_plan
from modelfleet.data.prepared import RESULTS, SHARDS, clear_results, read_error
from modelfleet.data.reading import pieces_of
from modelfleet.errors import DataError, SpecError
from modelfleet.run import Run
from modelfleet.spec.evaluation import check_slices
from modelfleet.spec.fleet import FleetSpec
from modelfleet.training.recipes import make_families
from modelfleet.whole_file import write_whole
from modelfleet.workplace import INPUTS, Workplace

CHAMPION_INDEX = "champion_index.parquet"

log = logging.getLogger("modelfleet.prepare")


def prepare(run: Run, options: Sequence[str]) -> None:
    """Prepare a run's data; a run whose data is prepared is left as it is.

    Args:
        run: The run.
        options: Beam's own options.

    Raises:
        DataError: A data file is missing, is not what it says, or holds nothing that can be used.
        SpecError: The spec names columns that the data does not have, or no family, or parameters it does not take.
    """
    if run.has("prepare"):
        log.info("run %s is prepared already", run.record.run_id)
        return
    place = run.workplace()
    spec, copies = _with_data_here(run)
    plan = make_plan(spec, entities=run.entities, champion_index=_champion_index(run, place))
    if copies is not None:
        plan = replace(plan, files=copies.named(plan.files))
    # What the step 'train' would refuse is refused before anybody waits for it
    make_families(run.spec.model, plan.outline())
    try:
        check_slices(run.spec.evaluation.slices, plan.columns, entity=run.spec.entity, target=run.spec.data.target)
    except ValueError as wrong:
        raise SpecError(str(wrong)) from wrong
    pieces = [piece for file in plan.files for piece in pieces_of(file)]
    if not pieces:
        raise DataError(f"{run.spec.data.source}: holds no rows")
    # Beam takes seconds to import: whoever got a file's name wrong has been told by now
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from beam_jobs.batch_job import run_to_end
    from beam_jobs.pipelines.prepare import build_prepare

    def build(pipeline: beam.Pipeline) -> None:
        clear_results(run.folder)
        place.clear(f"{SHARDS}/*", *RESULTS)
        place.send("run.json", "spec.json", CHAMPION_INDEX, inputs=plan.files)
        build_prepare(pipeline, plan, pieces, place)

    run_to_end(PipelineOptions(list(options)), build)
    place.fetch(f"{SHARDS}/*", *RESULTS)
    place.clear(f"{INPUTS}/*")
    error = read_error(run.folder)
    if error is not None:
        raise DataError(error)
    summary = run.read("prepare")
    log.info(
        "prepared %s rows of %s entities, %s bad rows",
        summary["rows_prepared"],
        summary["entities"],
        summary["rows_bad"],
    )
    if summary["columns_ignored"]:
        names = ", ".join(f"{name} ({reason})" for name, reason in summary["columns_ignored"].items())
        log.warning("columns that are no features: %s", names)


def _champion_index(run: Run, place: Workplace) -> str | None:
    """Return where workers find the champion's index: its path, or its name in the run's folder if that is copied."""
    champion = run.champion()
    if champion is None:
        return None
    index = champion.path / champion.manifest.index.path
    if place.url is None:
        return str(index)
    write_whole(run.folder / CHAMPION_INDEX, index.read_bytes())
    return CHAMPION_INDEX


def _with_data_here(run: Run) -> tuple[FleetSpec, Copies | None]:
    """Return the run's spec; where its data is a table, or below a bucket, it is copied into the run's folder first."""
    data, folder, copies = run.spec.data, run.folder / "source", None
    if is_table(data.source):
        found = {"source": str(fetch_table(data.source, folder, tuple(data.columns or ()))), "format": "parquet"}
    elif is_below_bucket(data.source):
        copies = fetch_objects(data.source, folder)
        found = {"source": copies.source}
    else:
        return run.spec, None
    return run.spec.model_copy(update={"data": data.model_copy(update=found)}), copies


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return the exit code of the error's type (2: the input is wrong)."""
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.prepare", description=__doc__)
    parser.add_argument("--run", required=True, help="Folder of the run.")
    known, options = parser.parse_known_args(arguments)
    return launch(lambda: prepare(Run.load(known.run), options))


if __name__ == "__main__":
    sys.exit(main())
