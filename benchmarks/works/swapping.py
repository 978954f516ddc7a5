"""Swaps under load: how soon they are seen, the gap in the answers, what is lost, and what stays in memory."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench import Bench
from benchmarks.result import Result, make_result
from benchmarks.stream.account import Account, account, longest_gap
from benchmarks.stream.bootstrap import difference, quantile_of
from benchmarks.stream.generator import Load, sending
from benchmarks.stream.memory import growth, memory_of
from benchmarks.stream.reader import Seen, count_messages, read_topic
from benchmarks.stream.serving import Served, Switched, serving
from benchmarks.stream.shops import damage, mark_of, write_bundle
from benchmarks.stream.stage import Stage, until, wait_for_answers
from benchmarks.stream.traffic import Traffic
from modelfleet.bundles.reader import Bundle

LATENCY = ("swap_latency", "swap_latency_p50", "swap_last_older")
GAP = ("swap_gap", "swap_gap_p95")
MANY = ("swaps_lost", "swaps_refused", "swaps_duplicates", "swaps_conflicting", "swaps_private", "swaps_shared")
WORKS = (*LATENCY, *GAP, *MANY)

BUNDLES = 4
"""Bundles released in turn; no two share a file, so every swap loads all its models."""
CORRUPT_EVERY = 50
"""So often one of the many swaps is preceded by a release that must be refused."""
FLAT_AFTER = 20
FIRST_SECONDS = 60.0


@dataclass(frozen=True)
class Told:
    """What a stretch of swaps left.

    Attributes:
        swaps: Each swap.
        free: Swap-free windows, in milliseconds since 1970.
        refused: Generations that were to be refused.
        requests: What was sent.
        answers: What was answered.
        dead: What was not.
        late: Requests the generator was late with.
    """

    swaps: list[Switched]
    free: list[tuple[float, float]]
    refused: list[int]
    requests: Seen
    answers: Seen
    dead: Seen
    late: int

    @property
    def account(self) -> Account:
        """What became of the requests."""
        return account(self.requests, self.answers, self.dead)


def measure(bench: Bench, stage: Stage) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    if bench.wants(*LATENCY, *GAP):
        yield from _windows(bench, stage)
    if bench.wants(*MANY):
        yield from _many(bench, stage)


def _windows(bench: Bench, stage: Stage) -> Iterator[Result]:
    """Swaps in the middle of windows, each followed by a window without one, and further swaps at once."""
    sizes = bench.sizes.serve
    window = sizes.window_seconds
    windows = sizes.windows if bench.wants(*GAP) else 0
    further = max(sizes.swaps - windows, 0) if bench.wants(*LATENCY) else 0
    with serving(stage, sizes.fleet) as (served, name):
        bundles = _bundles(served, name, sizes.fleet)
        load = _load(stage, served, sizes.fleet, sizes.rate)
        chance = random.Random(3)  # noqa: S311 - when to swap
        swaps, free = [], []
        with sending(load) as generator:
            _warm(stage, served, sizes.warm_seconds)
            for number in range(windows):
                if number % 10 == 0:
                    bench.say(f"window {number} of {windows} with a swap and without one, {2 * window:.0f} s")
                # Not in step with the poll: the swap comes at any time of its period
                _sleep(window / 2 + chance.uniform(-0.25, 0.25))
                swaps.append(served.swap(*bundles[number % BUNDLES]))
                _sleep_until(swaps[-1].switched / 1e3 + window / 2)
                began = time.time() * 1e3
                _sleep(window)
                free.append((began, began + window * 1e3))
            for number in range(windows, windows + further):
                if number % 50 == 0:
                    bench.say(f"swap {number} of {windows + further}")
                swaps.append(served.swap(*bundles[number % BUNDLES]))
                _sleep(chance.uniform(0.1, 0.6))
            told = _finish(stage, served, load, swaps, free, [], generator.finish(now=True).late)
    size = f"{sizes.fleet:,} models, {sizes.rate:,.0f} requests/s"
    note = f"{told.account}; generator late for {told.late:,}"
    if bench.wants(*LATENCY):
        took = [(one.switched - one.published) / 1e3 for one in swaps]
        older = (_last_older(told) / 1e3).tolist()
        for work, sample, quantile, text in (
            ("swap_latency", took, 0.99, f"largest {max(took):.2f} s; {note}"),
            ("swap_latency_p50", took, 0.5, ""),
            ("swap_last_older", older, 0.99, f"largest {max(older):.2f} s"),
        ):
            found = quantile_of(sample, quantile)
            yield make_result(work, [found.value], size=size, note=text, spread=found.interval, repeats=len(sample))
    if bench.wants(*GAP):
        half = window * 500
        of_swaps = [longest_gap(told.answers.ms, s.switched - half, s.switched + half) for s in swaps[:windows]]
        of_free = [longest_gap(told.answers.ms, *window) for window in free]
        for work, quantile in (("swap_gap", 0.5), ("swap_gap_p95", 0.95)):
            found = difference(of_swaps, of_free, quantile)
            with_swap, without = np.quantile(of_swaps, quantile), np.quantile(of_free, quantile)
            text = f"{windows} windows each: {with_swap:.0f} ms with a swap, {without:.0f} ms without; {note}"
            yield make_result(work, [found.value], size=size, note=text, spread=found.interval, repeats=windows)


def _many(bench: Bench, stage: Stage) -> Iterator[Result]:
    """Many swaps in a row, some preceded by a release that must be refused, and memory after each."""
    sizes = bench.sizes.serve
    private, shared = [], []
    with serving(stage, sizes.many_fleet, poll_seconds=0.05) as (served, name):
        bundles = _bundles(served, name, sizes.many_fleet)
        load = _load(stage, served, sizes.many_fleet, sizes.many_rate)
        swaps, refused = [], []
        every = min(CORRUPT_EVERY, sizes.many_swaps)
        with sending(load) as generator:
            _warm(stage, served, sizes.warm_seconds)
            for number in range(sizes.many_swaps):
                if number % 100 == 0:
                    bench.say(f"swap {number} of {sizes.many_swaps}")
                if number % every == every // 2:
                    bad = write_bundle(served.folders.bundles, name, sizes.many_fleet, 99)
                    damage(bad, number // every)
                    refused.append(served.refuse(bad).generation)
                swaps.append(served.swap(*bundles[number % BUNDLES]))
                memory = memory_of(served.processes())
                private.append(memory.private)
                shared.append(memory.shared)
            told = _finish(stage, served, load, swaps, [], refused, generator.finish(now=True).late)
    counted = told.account
    size = f"{len(swaps):,} swaps, {sizes.many_fleet:,} models, {sizes.many_rate:,.0f} requests/s"
    note = f"{len(refused)} releases damaged and refused; answers by them, or whose models are not their generation's"
    for work, number, text in (
        ("swaps_lost", counted.lost, str(counted)),
        ("swaps_refused", _wrong(told), note),
        ("swaps_duplicates", counted.duplicates, ""),
        ("swaps_conflicting", counted.conflicting, ""),
    ):
        exact = float(number)
        yield make_result(work, [exact], size=size, note=text, spread=(exact, exact), repeats=len(swaps))
    first = min(FLAT_AFTER, len(swaps) // 2)
    for work, samples in (("swaps_private", private), ("swaps_shared", shared)):
        levels = growth(samples, first)
        note = f"{samples[first] / 1e6:.0f} MB after {first} swaps, {samples[-1] / 1e6:.0f} MB at the end"
        yield make_result(
            work, [max(levels)], size=size, note=note, spread=(min(levels), max(levels)), repeats=len(swaps)
        )


def _warm(stage: Stage, served: Served, seconds: float) -> None:
    """Wait for the first answers, and some time more."""
    topic = served.topics.answers
    until(lambda: count_messages(stage.servers, topic) > 0, FIRST_SECONDS, f"no answer in topic '{topic}'")
    time.sleep(seconds)


def _bundles(served: Served, name: str, shops: int) -> list[tuple[Bundle, int]]:
    return [(write_bundle(served.folders.bundles, name, shops, mark), mark) for mark in range(2, BUNDLES + 2)]


def _load(stage: Stage, served: Served, shops: int, rate: float) -> Load:
    traffic = Traffic("swaps", shops)
    return Load(stage.servers, served.topics.requests, traffic, count=int(rate * 3600), rate=rate)


def _finish(
    stage: Stage,
    served: Served,
    load: Load,
    swaps: list[Switched],
    free: list[tuple[float, float]],
    refused: list[int],
    late: int,
) -> Told:
    """Wait for the last answers, then read everything."""
    topics, run = served.topics, load.traffic.run
    wait_for_answers(stage, topics)
    return Told(
        swaps,
        free,
        refused,
        read_topic(stage.servers, topics.requests, run, decode=False),
        read_topic(stage.servers, topics.answers, run),
        read_topic(stage.servers, topics.dead, run),
        late,
    )


def _last_older(told: Told) -> NDArray[np.float64]:
    """Return, for each swap, the milliseconds from its publication to the last answer by an older generation."""
    order = np.argsort(told.answers.ms, kind="stable")
    ms, generation = told.answers.ms[order], told.answers.generation[order]
    found = []
    for one in told.swaps:
        # Within a minute: an answer given twice much later would be a duplicate, and is counted as such
        near = slice(*np.searchsorted(ms, [one.published - 1e3, one.published + 6e4]))
        older = ms[near][generation[near] < one.generation]
        found.append(max(float(older.max()) - one.published, 0.0) if len(older) else 0.0)
    return np.array(found)


def _wrong(told: Told) -> int:
    """Return the number of answers by a refused generation, or by models that are not their generation's."""
    marks = {one.generation: one.mark for one in told.swaps}
    known = np.array([marks.get(g, 1) for g in told.answers.generation.tolist()])
    return int((np.isin(told.answers.generation, told.refused) | (mark_of(told.answers.prediction) != known)).sum())


def _sleep(seconds: float) -> None:
    time.sleep(max(seconds, 0.0))


def _sleep_until(second: float) -> None:
    _sleep(second - time.time())
