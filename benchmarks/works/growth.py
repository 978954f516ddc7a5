"""Cost as the work grows: five times the rows and models, and a grid of rows and entities."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.bench import Bench, cpu
from benchmarks.ours.fleet import CHAMPION
from benchmarks.result import Result, make_result
from benchmarks.sizes import Size
from benchmarks.works.gated import our_side

WORKS = ("growth", "growth_memory", "grid")
FEWEST_ROWS = 50
"""Rows per entity below which a cell of the grid says more about entities without a model than about the work."""


def measure(bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    if bench.wants("growth", "growth_memory"):
        yield from _five_times(bench)
    if bench.wants("grid"):
        yield from _grid(bench)


def _five_times(bench: Bench) -> Iterator[Result]:
    one, five = bench.sizes.small, bench.sizes.five
    sides = []
    for name, size in (("a fifth of it", one), ("five times", five)):
        data = bench.census(size)
        sides.append(our_side(bench, name, data, bench.champion(data, CHAMPION)))
    found = bench.rounds(sides)
    large = found["five times"]
    if bench.wants("growth"):
        yield make_result("growth", cpu(large), cpu(found["a fifth of it"]), size=f"{five} against {one}")
    if bench.wants("growth_memory"):
        yield make_result("growth_memory", [each.peak_bytes / 1e6 for each in large], size=str(five))


def _grid(bench: Bench) -> Iterator[Result]:
    for rows in bench.sizes.grid_rows:
        for entities in bench.sizes.grid_entities:
            if rows // entities < FEWEST_ROWS:
                continue
            size = Size(rows, entities)
            data = bench.census(size)
            side = our_side(bench, f"grid: {size}", data, bench.champion(data, CHAMPION))
            seconds = bench.once(side).cpu_seconds
            yield make_result("grid", [seconds], size=str(size), note="one round", title=f"gated step, {size}")
