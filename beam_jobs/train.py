"""Trains and evaluates the candidate of a run: ``python -m beam_jobs.train --run=<run folder> [Beam options]``.

Reads what the steps prepare and validate left in the folder; leaves ``candidate/``, ``evaluation.parquet`` and, last,
``train.json``. Running it again writes the same.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
from pathlib import Path

# Before numpy is loaded: shards are trained by threads of our own, and a BLAS that starts more slows them all.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import apache_beam as beam  # noqa: E402
from apache_beam.options.pipeline_options import PipelineOptions  # noqa: E402

from beam_jobs.batch_job import run_to_end  # noqa: E402
from beam_jobs.launcher import launch  # noqa: E402
from beam_jobs.pipelines.train import build_train  # noqa: E402
from modelfleet.data.prepared import SHARDS  # noqa: E402
from modelfleet.training.job import FACTS_OF_A_RUN, TrainingJob  # noqa: E402
from modelfleet.training.trial import FITTED  # noqa: E402

CANDIDATE = ("candidate/pooled/*", "candidate/shards/*", "candidate/*")
"""Where the candidate's files are; its manifest is among the last."""

RESULTS = ("evaluation.parquet", "slices.parquet", "candidates.parquet", "train.json")
"""What is left beside the candidate; the last is written last."""

logger = logging.getLogger(__name__)


def train(folder: Path, options: list[str]) -> None:
    """Run the training pipeline of a run and wait for its end.

    Args:
        folder: The run's.
        options: Beam's.

    Raises:
        ModelfleetError: The run cannot be trained.
    """
    job = TrainingJob.load(folder).ready()  # wrong input fails here, not on a worker
    job.check_entities()
    place = job.run.workplace()

    def build(pipeline: beam.Pipeline) -> None:
        (folder / "train.json").unlink(missing_ok=True)  # what it tells of is about to be replaced
        failed_before = place.has("quarantine.json")  # the step before leaves none there, and one that succeeds neither
        place.clear(*CANDIDATE, f"{FITTED}/*", *RESULTS)
        place.send(*FACTS_OF_A_RUN)
        place.send(f"{SHARDS}/*", again=failed_before)  # whatever was wrong with them there
        build_train(pipeline, job, place)

    run_to_end(PipelineOptions(options, save_main_session=False), build)
    if place.url is not None:
        shutil.rmtree(job.run.candidate, ignore_errors=True)
    place.fetch(*CANDIDATE, *RESULTS)
    place.clear(*CANDIDATE, f"{FITTED}/*", f"{SHARDS}/*", "*")
    report = job.run.read("train")
    logger.info(
        "%s models of %s entities trained and evaluated in %.1f s; %s could not be fitted, %s are quarantined",
        report["models"], report["entities"], report["seconds"], len(report["failures"]), report["quarantined"],
    )  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Parse, build, run; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.train", description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="the run's folder")
    known, rest = parser.parse_known_args(arguments)
    return launch(lambda: train(known.run, rest))


if __name__ == "__main__":
    sys.exit(main())
