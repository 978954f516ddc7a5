"""Compiles every kernel into numba's cache: ``python -m beam_jobs.warm``, a step of the worker image's build.

A worker that finds the cache full answers its first request some ten seconds earlier. The cache belongs to one kind
of processor, so the build names one (``NUMBA_CPU_NAME``) and the workers inherit the name.
"""

from __future__ import annotations

import sys

from modelfleet.families.kernels import compiled, newton_compiled

LINEAR = tuple(newton_compiled.KERNELS)


def warm() -> list[str]:
    """Compile every kernel; return the names of those that could not be, with numba's reason in the log."""
    missing = [] if compiled.warm() else ["tree"]
    return missing + [name for name in LINEAR if newton_compiled.linear_kernel(name) is None]


def main() -> int:
    """Warm the cache; return the exit code."""
    missing = warm()
    if missing:
        sys.stderr.write(f"no compiled kernel for: {', '.join(missing)}; is numba installed and its cache writable?\n")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
