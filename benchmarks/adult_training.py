"""The Adult fleet trained by modelfleet and by the naive pipeline, side by side.

Run ``python -m benchmarks.adult_training``.

CPU seconds of the whole process, imports and one warm-up run left out, medians of several rounds taken in turn. Both
run on Beam's FnApiRunner with the same trees (depth and leaf size). The naive pipeline reads, groups, fits and
pickles. modelfleet reads the prepared rows, fits the same trees and a pooled one, evaluates candidate, pooled model
and baseline on the holdout, and writes the bundle; reading the CSV (the step prepare) is timed beside it.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from beam_jobs.prepare import prepare  # noqa: E402
from beam_jobs.train import train  # noqa: E402
from benchmarks import naive  # noqa: E402
from modelfleet.home import Home  # noqa: E402
from modelfleet.run import Run  # noqa: E402
from modelfleet.spec.file import load_spec  # noqa: E402

RUNNER = ["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner", "--direct_num_workers=1"]
ROOT = Path(__file__).resolve().parents[1]


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds, all threads, that a call takes."""
    begin = time.process_time()
    work()
    return time.process_time() - begin


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--max-depth", type=int, default=None)
    parser.add_argument("--min-samples-leaf", type=int, default=1)
    chosen = parser.parse_args()
    logging.disable(logging.WARNING)
    spec = load_spec(ROOT / "fleets" / "income.yaml")
    tree = {"max_depth": chosen.max_depth, "min_samples_leaf": chosen.min_samples_leaf}
    spec = spec.model_copy(update={"model": spec.model.model_copy(update={"family": "tree", "parameters": tree})})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)

        def begin_run(number: int) -> Run:
            run = Run.open(Home(folder / "home"), spec, run_id=f"round-{number}")
            run.write("quarantine", {})
            return run

        def by_naive(cast: bool) -> None:
            shutil.rmtree(folder / "naive", ignore_errors=True)
            (folder / "naive").mkdir()
            naive.run(
                Path(spec.data.source), folder / "naive", chosen.max_depth, chosen.min_samples_leaf, RUNNER, cast=cast
            )

        seconds: dict[str, list[float]] = {"naive": [], "naive, numbers cast": [], "prepare": [], "train": []}
        for number in range(chosen.rounds + 1):
            run = begin_run(number)
            measured = {
                "naive": cpu(lambda: by_naive(False)),
                "naive, numbers cast": cpu(lambda: by_naive(True)),
                "prepare": cpu(lambda run=run: prepare(run, RUNNER)),  # type: ignore[misc]
                "train": cpu(lambda run=run: train(run.folder, RUNNER)),  # type: ignore[misc]
            }
            if number:  # the first round warms up: byte code, the compiled kernel's cache, the files
                for name, value in measured.items():
                    seconds[name].append(value)
        report = Run.load(run.folder).read("train")
    median = {name: statistics.median(values) for name, values in seconds.items()}
    write = sys.stdout.write
    write(f"Adult, {report['entities']} entities, trees {tree}, CPU seconds, median of {chosen.rounds} (min to max)\n")
    for name, values in seconds.items():
        write(f"  {name:20} {median[name]:7.3f}  ({min(values):.3f} to {max(values):.3f})\n")
    write(f"  the shards' own work, without Beam: {report['cpu_seconds']:.3f}\n")
    ours = median["train"]
    for name in ("naive", "naive, numbers cast"):
        write(
            f"  {name}: {median[name] / ours:.1f} x train, "
            f"{median[name] / (ours + median['prepare']):.1f} x prepare and train\n"
        )


if __name__ == "__main__":
    main()
