"""The gated step: by modelfleet with and without numba, with and without Beam, under skew, and by everybody else."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import BASELINES, Bench, cpu
from benchmarks.data import adult, first_entities
from benchmarks.ours.fleet import CHAMPION
from benchmarks.result import Result, make_result
from benchmarks.side import Measured, Side
from benchmarks.sizes import Size

SMALL = (
    "gated_step",
    "gated_step_without_numba",
    "steps",
    "zipf",
    "wall",
    "memory",
    "beam_over_direct",
)
WORKS = (*SMALL, "gated_step_large", "gated_step_large_without_numba", "adult")
STEPS = ("prepare", "train", "gate")
OURS, PLAIN, DIRECT, ZIPF = "modelfleet", "modelfleet without numba", "called directly", "Zipf sizes"
ADULT = Path(__file__).parents[2] / "examples" / "adult" / "adult.data"
ADULT_ENTITIES = 16
ADULT_SHARDS = 4
"""As ``fleets/income.yaml`` has it."""


def our_side(
    bench: Bench,
    name: str,
    data: Path,
    home: Path,
    *,
    beam: bool = True,
    numba: bool = True,
    shards: int | None = None,
) -> Side:
    """Return our gated step on a data set, after a warm-up on some of its entities.

    Args:
        bench: The benchmark.
        name: What to call it.
        data: The data set.
        home: Where its champion serves.
        beam: Whether through Beam.
        numba: Whether numba may be imported.
        shards: Into which the fleet is divided; None means the spec's default.
    """
    warm = first_entities(data, bench.sizes.warm)
    config = {
        "data": str(data),
        "home": str(home),
        "warm_data": str(warm),
        "warm_home": str(bench.champion(warm, CHAMPION, shards)),
        "beam": beam,
        "numba": numba,
        "shards": shards,
    }
    return Side(name, "benchmarks.ours.gated", config)


def measure(bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    if bench.wants(*SMALL):
        yield from _small(bench)
    if bench.wants("gated_step_large", "gated_step_large_without_numba"):
        yield from _large(bench)
    if bench.wants("adult"):
        yield from _adult(bench)


def _small(bench: Bench) -> Iterator[Result]:
    size = bench.sizes.small
    data = bench.census(size)
    home = bench.champion(data, CHAMPION)
    sides = [our_side(bench, OURS, data, home)]
    if bench.wants("gated_step_without_numba"):
        sides.append(our_side(bench, PLAIN, data, home, numba=False))
    if bench.wants("beam_over_direct"):
        sides.append(our_side(bench, DIRECT, data, home, beam=False))
    if bench.wants("zipf"):
        skewed = bench.census(size, zipf=1.0)
        sides.append(our_side(bench, ZIPF, skewed, bench.champion(skewed, CHAMPION)))
    names = tuple(BASELINES) if bench.wants("gated_step") else ("naive Beam",)
    if bench.wants("gated_step", "gated_step_without_numba"):
        sides += bench.baselines(data, size.entities, bench.sizes.sample, names)
    found = bench.rounds(sides)
    ours = found[OURS]
    if bench.wants("gated_step"):
        yield from against_baselines(bench, "gated_step", size, bench.sizes.sample, ours, found)
    if bench.wants("gated_step_without_numba"):
        yield from against_baselines(
            bench, "gated_step_without_numba", size, bench.sizes.sample, found[PLAIN], found, 1
        )
    for step in STEPS if bench.wants("steps") else ():
        seconds = [one.extra["steps"][step] for one in ours]
        yield make_result("steps", seconds, size=str(size), title=f"gated step: {step}")
    if bench.wants("zipf"):
        yield make_result("zipf", cpu(found[ZIPF]), cpu(ours), size=str(size))
    if bench.wants("wall"):
        note = "means something on an idle machine only"
        yield make_result("wall", [one.wall_seconds for one in ours], size=str(size), note=note)
    if bench.wants("memory"):
        yield make_result("memory", [one.peak_bytes / 1e6 for one in ours], size=str(size))
    if bench.wants("beam_over_direct"):
        yield make_result("beam_over_direct", cpu(ours), cpu(found[DIRECT]), size=str(size))


def _large(bench: Bench) -> Iterator[Result]:
    size = bench.sizes.large
    data = bench.census(size)
    home = bench.champion(data, CHAMPION)
    sides = []
    if bench.wants("gated_step_large"):
        sides.append(our_side(bench, OURS, data, home))
    if bench.wants("gated_step_large_without_numba"):
        sides.append(our_side(bench, PLAIN, data, home, numba=False))
    sides += bench.baselines(data, size.entities, bench.sizes.sample_large, ("naive Beam",))
    found = bench.rounds(sides)
    for work, side in (("gated_step_large", OURS), ("gated_step_large_without_numba", PLAIN)):
        if bench.wants(work):
            yield from against_baselines(bench, work, size, bench.sizes.sample_large, found[side], found, 1)


def _adult(bench: Bench) -> Iterator[Result]:
    data = adult(bench.cache, ADULT)
    size = Size(32_561, ADULT_ENTITIES)
    home = bench.champion(data, CHAMPION, ADULT_SHARDS)
    side = our_side(bench, OURS, data, home, shards=ADULT_SHARDS)
    found = bench.rounds([side, *bench.baselines(data, ADULT_ENTITIES, ADULT_ENTITIES, ("naive Beam",))])
    yield from against_baselines(bench, "adult", size, ADULT_ENTITIES, found[OURS], found, 1)


def against_baselines(
    bench: Bench,
    work: str,
    size: Size,
    sample: int,
    ours: list[Measured],
    found: dict[str, list[Measured]],
    most: int | None = None,
) -> Iterator[Result]:
    """Compare our rounds with those of each baseline, scaled to the whole data set.

    Args:
        bench: The benchmark.
        work: Name of the work.
        size: Of the whole data set.
        sample: Entities the baselines worked on.
        ours: Our rounds.
        found: Everybody's rounds by name.
        most: So many baselines; None means all.
    """
    for name in tuple(BASELINES)[:most]:
        if not bench.wants_baseline(name):
            continue
        rounds = found.get(name, [])
        note = bench.missing.get(name, "")
        if rounds:
            done = int(rounds[0].extra["units"])
            wall = statistics.median(one.wall_seconds for one in rounds)
            note = f"measured on {done:,} entities in {wall:.1f} s"
            note += f", scaled to {size.entities:,}" if done != size.entities else ""
        scaled = [one.scaled(size.entities) for one in rounds]
        yield make_result(work, cpu(ours), scaled, against=name, size=str(size), note=note)
