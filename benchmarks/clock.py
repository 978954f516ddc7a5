"""What every side's process does: set up and warm up, do its work once, and print what that took as one JSON line.

CPU seconds are those of the whole process tree, because the workers of joblib, Ray and Spark are processes of their
own: this process and the children it has waited for to the microsecond, living descendants to a hundredth of a second.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from modelfleet.errors import SpecError

Config = dict[str, Any]
Work = Callable[[], dict[str, Any] | None]

PR_SET_CHILD_SUBREAPER = 36


def main(setup: Callable[[Config], Work]) -> None:
    """Run a side: ``python -m benchmarks.<side> '<its configuration as JSON>'``.

    Prints ``cpu_seconds``, ``wall_seconds``, ``peak_bytes`` and whatever the work returns; or ``missing``, the name
    of a library that is not installed; or ``refused``, why modelfleet does not take what it was asked for.

    Args:
        setup: Takes the configuration; imports, warms up, and returns the work to be measured.
    """
    # A worker whose parent has ended becomes a child of this process, so that its time is found
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        work = setup(json.loads(sys.argv[1]))
        found = timed(work)
    except ModuleNotFoundError as error:
        found = {"missing": str(error.name).partition(".")[0]}
    except SpecError as error:
        found = {"refused": str(error)}
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    sys.stdout.flush()


def timed(work: Work) -> dict[str, Any]:
    """Do a work and return what it took, with what it returned."""
    cpu, wall = tree_cpu_seconds(), time.perf_counter()
    extra = work() or {}
    wall = time.perf_counter() - wall
    return {
        "cpu_seconds": tree_cpu_seconds() - cpu,
        "wall_seconds": wall,
        "peak_bytes": tree_peak_bytes(),
        **extra,
    }


def tree_cpu_seconds() -> float:
    """Return the CPU seconds this process and all its descendants have used so far."""
    waited = resource.getrusage(resource.RUSAGE_CHILDREN)
    ticks = os.sysconf("SC_CLK_TCK")
    own = time.process_time() + waited.ru_utime + waited.ru_stime
    # utime, stime, and both of the children it has waited for: fields 14 to 17 of proc(5), 3 being the first here
    return own + sum(sum(map(int, fields[11:15])) for _, fields in _descendants()) / ticks


def tree_peak_bytes() -> int:
    """Return the largest resident memory of this process, plus that of each living descendant."""
    return _peak("self") + sum(_peak(str(process)) for process, _ in _descendants())


def _peak(process: str) -> int:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:  # it has just ended
        return 0
    found = next((line for line in status.splitlines() if line.startswith("VmHWM:")), "VmHWM: 0 kB")
    return int(found.split()[1]) * 1024


def _descendants() -> Iterator[tuple[int, list[str]]]:
    """Yield each living descendant's process id and the fields of its ``stat`` from the third on."""
    stats: dict[int, list[str]] = {}
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:  # it has just ended
            continue
        fields = text.rpartition(")")[2].split()
        stats[int(entry.name)] = fields
        children.setdefault(int(fields[1]), []).append(int(entry.name))
    waiting = list(children.get(os.getpid(), ()))
    while waiting:
        process = waiting.pop()
        waiting += children.get(process, ())
        yield process, stats[process]
