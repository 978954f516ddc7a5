"""Compiles every kernel into numba's cache: ``python -m beam_jobs.warm``, a step of the worker image's build.

A worker that finds the cache full answers its first request some ten seconds earlier. The cache belongs to one kind
of processor, so the build names one (``NUMBA_CPU_NAME``) and the workers inherit the name.
"""

from __future__ import annotations

import sys

import numpy as np

from modelfleet.evaluation.ranking import area_under_curve
from modelfleet.families.kernels.compiled import warm as warm_trees
from modelfleet.families.kernels.newton_compiled import KERNELS, linear_kernel


def warm() -> list[str]:
    """Compile every kernel; return the names of those that could not be, with numba's reason in the log."""
    area_under_curve(np.zeros(2), np.array([False, True]), np.zeros(2, dtype=np.int64), 1)  # it has slower code as well
    missing = [] if warm_trees() else ["tree"]
    return missing + [name for name in KERNELS if linear_kernel(name) is None]


def main() -> int:
    """Warm the cache; return the exit code."""
    missing = warm()
    if missing:
        sys.stderr.write(f"no compiled kernel for: {', '.join(missing)}; is numba installed and its cache writable?\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
