"""A side of a comparison: a module that runs as a process of its own and prints what its work took."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelfleet.errors import MissingExtraError, ModelfleetError, SpecError

LAST_LINES = 15
LIMIT_SECONDS = 1800

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
"""Work is shared out over processes or threads by each side itself; libraries that start more only disturb."""

NOT_INHERITED = ("PYTHONDONTWRITEBYTECODE", "MLFLOW_TRACKING_URI", "MODELFLEET_HOME")
"""Byte code must be written, or every process compiles Beam anew; the others would lead to somebody's real data."""


@dataclass(frozen=True)
class Side:
    """What to start.

    Attributes:
        name: What the table calls it.
        module: Such as ``benchmarks.baselines.naive_beam``.
        config: What it is told, as JSON can hold it.
        most_rounds: Rounds after which it is not run again: a slow side's figure is wanted, not its spread.
    """

    name: str
    module: str
    config: Mapping[str, Any] = field(default_factory=dict)
    most_rounds: int | None = None


@dataclass(frozen=True)
class Measured:
    """What one run of a side took.

    Attributes:
        cpu_seconds: CPU time of its process tree, set-up and warm-up left out.
        wall_seconds: Wall time likewise.
        peak_bytes: Largest resident memory of the whole process, set-up included.
        extra: What else it told: ``units`` of work done, ``small`` for the same on a smaller piece, and so on.
    """

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int
    extra: Mapping[str, Any]

    def scaled(self, units: int) -> float:
        """Return the CPU seconds that so many units of work would take.

        From the sample measured and a smaller one: what does not grow with the work (building a pipeline, starting
        tasks) is counted once, not once per sample. Where the whole was measured, this is what was measured.
        """
        done = int(self.extra["units"])
        small = self.extra.get("small")
        if done == units:
            return self.cpu_seconds
        if small is None or small["units"] >= done:
            return self.cpu_seconds * units / done
        slope = (self.cpu_seconds - small["cpu_seconds"]) / (done - small["units"])
        return self.cpu_seconds + slope * (units - done)


def run_side(side: Side) -> Measured:
    """Run a side once.

    Raises:
        MissingExtraError: A library it needs is not installed.
        SpecError: This version of modelfleet does not know what the side asks for.
        ModelfleetError: It failed, or ran into the time limit; the message has its last lines.
    """
    environment = {name: text for name, text in os.environ.items() if name not in NOT_INHERITED}
    # -P: a folder `benchmarks` that happens to lie in the working folder must not be measured
    command = [sys.executable, "-P", "-m", side.module, json.dumps(dict(side.config))]
    try:
        done = subprocess.run(
            command, env=environment | ONE_THREAD, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise ModelfleetError(f"{side.name} ({side.module}) was stopped after {LIMIT_SECONDS} s") from None
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = "\n".join(done.stderr.strip().splitlines()[-LAST_LINES:])
        raise ModelfleetError(f"{side.name} (python -m {side.module}) ended with {done.returncode}:\n{last}")
    found = json.loads(lines[-1])
    if "missing" in found:
        raise MissingExtraError(found["missing"], "bench")
    if "refused" in found:
        raise SpecError(found["refused"])
    figures = {name: found.pop(name) for name in ("cpu_seconds", "wall_seconds", "peak_bytes")}
    return Measured(**figures, extra=found)
