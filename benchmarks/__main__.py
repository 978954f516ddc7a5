"""Measures a suite: ``python -m benchmarks train|score|register|serve --folder=.modelfleet/bench``.

``modelfleet bench`` starts this and shows the results. Writes ``<suite>.json`` (machine, results) and ``<suite>.png``
into the folder; progress goes to standard error, the path of the JSON file to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.machine import machine
from benchmarks.sizes import FULL, QUICK
from benchmarks.suites import SUITES, measure, wanted_baselines, wanted_works
from modelfleet.errors import ModelfleetError
from modelfleet.whole_file import write_whole


def main(arguments: list[str] | None = None) -> int:
    """Parse, measure, write; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--folder", type=Path, required=True, help="where data is kept and results go")
    parser.add_argument("--quick", action="store_true", help="sizes for trying")
    parser.add_argument("--only", action="append", default=[], help="measure this work only; repeatable")
    parser.add_argument("--against", action="append", default=[], help="this baseline only; repeatable")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each comparison")
    try:
        sys.stdout.write(f"{run(parser.parse_args(arguments))}\n")
    except ModelfleetError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


def run(chosen: argparse.Namespace) -> Path:
    """Measure a suite and return the path of its JSON file."""
    wanted, against = wanted_works(chosen.suite, chosen.only), wanted_baselines(chosen.against)
    folder = chosen.folder.absolute()
    began = time.time()
    before = machine()
    scratch = Path(tempfile.mkdtemp(dir=_made(folder), prefix="scratch-"))
    try:
        bench = Bench(
            sizes=QUICK if chosen.quick else FULL,
            repeats=max(chosen.repeats, 1),
            wanted=wanted,
            against=against,
            cache=_made(folder / "data"),
            scratch=scratch,
            say=lambda line: print(f"{time.time() - began:6.0f} s  {line}", file=sys.stderr, flush=True),  # noqa: T201
        )
        results = []
        for result in measure(chosen.suite, bench):  # told one by one: a run takes long, and may be stopped
            bench.say(result.line())
            results.append(result)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    report = {
        "suite": chosen.suite,
        "quick": chosen.quick,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.time() - began, 1),
        "machine": before | {"load_after": os.getloadavg()[0]},
        "results": [result.document() for result in results],
    }
    path: Path = folder / f"{chosen.suite}.json"
    write_whole(path, json.dumps(report, indent=2) + "\n")
    from benchmarks.plot import plot

    plot(report, folder / f"{chosen.suite}.png")
    return path


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
