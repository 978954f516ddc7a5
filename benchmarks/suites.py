"""Which works belong to which suite, and choosing among them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from benchmarks.bench import BASELINES, Bench
from benchmarks.result import Result
from benchmarks.works import fits, gated, growth, registering, scoring, serving
from modelfleet.errors import InputError, nearest


@dataclass(frozen=True)
class Block:
    """Works that are measured together, because they share sides.

    Attributes:
        works: Their names.
        measure: Yields a result for each that is wanted.
    """

    works: tuple[str, ...]
    measure: Callable[[Bench], Iterator[Result]]


SUITES: dict[str, tuple[Block, ...]] = {
    "train": (
        Block(gated.WORKS, gated.measure),
        Block(fits.WORKS, fits.measure),
        Block(growth.WORKS, growth.measure),
    ),
    "score": (Block(scoring.WORKS, scoring.measure),),
    "register": (Block(registering.WORKS, registering.measure),),
    "serve": (Block(serving.WORKS, serving.measure),),
}


def wanted_works(suite: str, only: Iterable[str]) -> frozenset[str]:
    """Return the works to measure.

    Args:
        suite: One of ``SUITES``.
        only: Names of works; none means all of the suite.

    Raises:
        InputError: The suite has no such work.
    """
    known = [work for block in SUITES[suite] for work in block.works]
    chosen = frozenset(only)
    for name in sorted(chosen - set(known)):
        raise InputError(f"--only {name}: suite '{suite}' has no such work{nearest(name, known)}")
    return chosen or frozenset(known)


def wanted_baselines(against: Iterable[str]) -> frozenset[str] | None:
    """Return the baselines of the gated step to measure; None means all.

    Raises:
        InputError: There is no such baseline.
    """
    chosen = frozenset(against)
    for name in sorted(chosen - set(BASELINES)):
        raise InputError(f"--against '{name}': no such baseline{nearest(name, BASELINES)}")
    return chosen or None


def measure(suite: str, bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of a suite, result by result."""
    for block in SUITES[suite]:
        if bench.wants(*block.works):
            yield from block.measure(bench)
