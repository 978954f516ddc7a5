"""Answers as such: what the fleet adds to a pass-through's latency, and how many requests a second it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.bench import Bench
from benchmarks.result import Result, make_result
from benchmarks.sizes import ServeSizes
from benchmarks.stream.account import account, latencies, steady_rate
from benchmarks.stream.generator import Load, sending
from benchmarks.stream.reader import read_topic
from benchmarks.stream.serving import serving
from benchmarks.stream.shops import shops_spec
from benchmarks.stream.stage import Stage, Topics, wait_for_answers
from benchmarks.stream.traffic import Traffic

ADDED = ("added_latency", "latency_p50", "latency_p99")
AGAINST_SINGLES = ("throughput_keyed", "throughput_keyed_side_input", "throughput_chunks", "throughput_arrow")
RATES = (*AGAINST_SINGLES, "throughput_entities")
WORKS = (*ADDED, *RATES)

WARM_MESSAGES = 200
SINGLES, CHUNKS, ARROW = "single requests", "chunks", "chunks as Arrow"
Side = Callable[[], AbstractContextManager[Topics]]


def measure(bench: Bench, stage: Stage) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    if bench.wants(*ADDED):
        yield from _added(bench, stage)
    if bench.wants(*RATES):
        yield from _rates(bench, stage)


def _added(bench: Bench, stage: Stage) -> Iterator[Result]:
    """The fleet and the pass-through in turn, at a steady rate."""
    sizes = bench.sizes.serve
    ours: list[list[float]] = []
    without: list[list[float]] = []
    for number in range(bench.repeats):
        for found, name, side in (
            (ours, "fleet", _fleet(stage, sizes.fleet)),
            (without, "pass-through", _pass(stage)),
        ):
            bench.say(f"latency of the {name}, round {number + 1} of {bench.repeats}")
            found.append(_latency(stage, side, sizes))
    p50, p99 = (np.array([[np.quantile(one, q) for one in side] for side in (ours, without)]) for q in (0.5, 0.99))
    size = f"{sizes.fleet:,} models, {sizes.rate:,.0f} requests/s, {sizes.latency_seconds:.0f} s"
    note = f"p99 {_each(p99[0])} ms with the fleet, {_each(p99[1])} ms without; p50 {_each(p50[0])}, {_each(p50[1])}"
    yield make_result("added_latency", (p99[0] - p99[1]).tolist(), size=size, note=note)
    yield make_result("latency_p50", p50[0].tolist(), p50[1].tolist(), size=size)
    yield make_result("latency_p99", p99[0].tolist(), p99[1].tolist(), size=size)


def _rates(bench: Bench, stage: Stage) -> Iterator[Result]:
    """Backlogs read as fast as each side can, in turn."""
    sizes = bench.sizes.serve
    rounds = min(bench.repeats, sizes.rate_rounds)
    jobs = _jobs(bench, stage)
    found: dict[str, list[float]] = {backlog.name: [] for _, backlogs in jobs for backlog in backlogs}
    for number in range(rounds):
        for side, backlogs in jobs:
            bench.say(f"throughput, {', '.join(each.name for each in backlogs)}, round {number + 1} of {rounds}")
            with side() as topics:
                for backlog in backlogs:
                    found[backlog.name].append(_rate(stage, topics, backlog, f"round{number}"))
    size = f"{sizes.keys:,} keys"
    theirs = {"throughput_keyed": sizes.keyed_backlog, "throughput_keyed_side_input": sizes.side_input_backlog}
    for work, backlog in theirs.items():
        if bench.wants(work):
            note = f"backlogs of {sizes.backlog:,} and {backlog:,} single requests"
            yield make_result(work, found[SINGLES], found[work], size=size, note=note)
    if bench.wants("throughput_chunks"):
        note = f"{sizes.chunks:,} chunks of {sizes.chunk} rows, by column"
        yield make_result("throughput_chunks", found[CHUNKS], found[SINGLES], size=size, note=note)
    if bench.wants("throughput_arrow"):
        note = f"{sizes.chunks:,} chunks of {sizes.chunk} rows, each an Arrow IPC stream"
        yield make_result("throughput_arrow", found[ARROW], found[SINGLES], size=size, note=note)
    if bench.wants("throughput_entities"):
        few, many = (found[_entities(shops)] for shops in sizes.entities)
        size = f"{sizes.entities[1]:,} against {sizes.entities[0]:,}"
        yield make_result("throughput_entities", many, few, size=size, note=f"{sizes.backlog:,} single requests each")


@dataclass(frozen=True)
class _Backlog:
    name: str
    traffic: Traffic
    count: int


def _jobs(bench: Bench, stage: Stage) -> list[tuple[Side, list[_Backlog]]]:
    """Return the jobs to start in each round, with the backlogs that each works off."""
    sizes = bench.sizes.serve
    keys = sizes.keys
    ours = [_Backlog(SINGLES, Traffic("single", keys), sizes.backlog)]
    if bench.wants("throughput_chunks"):
        ours.append(_Backlog(CHUNKS, Traffic("chunk", keys, rows=sizes.chunk), sizes.chunks))
    if bench.wants("throughput_arrow"):
        ours.append(_Backlog(ARROW, Traffic("arrow", keys, rows=sizes.chunk, arrow=True), sizes.chunks))
    jobs = [(_fleet(stage, keys), ours)] if bench.wants(*AGAINST_SINGLES) else []
    if bench.wants("throughput_keyed", "throughput_keyed_side_input"):
        told = ["--models", str(bench.folder("models")), "--keys", str(keys)]
        for work, count, more in (
            ("throughput_keyed", sizes.keyed_backlog, []),
            ("throughput_keyed_side_input", sizes.side_input_backlog, ["--side-input"]),
        ):
            if bench.wants(work):
                backlog = _Backlog(work, Traffic("single", keys), count)
                jobs.append((_baseline(stage, "benchmarks.baselines.keyed_stream", [*told, *more]), [backlog]))
    if bench.wants("throughput_entities"):
        jobs += [
            (_fleet(stage, shops), [_Backlog(_entities(shops), Traffic("single", shops), sizes.backlog)])
            for shops in sizes.entities
        ]
    return jobs


def _entities(shops: int) -> str:
    return f"{shops:,} entities"


def _latency(stage: Stage, side: Side, sizes: ServeSizes) -> list[float]:
    """Return the latency of each request at a steady rate, in milliseconds, after a warm-up."""
    with side() as topics:
        for run, seconds in (("warm", sizes.warm_seconds), ("steady", sizes.latency_seconds)):
            load = Load(
                stage.servers, topics.requests, Traffic(run, sizes.fleet), int(sizes.rate * seconds), sizes.rate
            )
            with sending(load) as generator:
                generator.finish()
        wait_for_answers(stage, topics)
    requests = read_topic(stage.servers, topics.requests, "steady", decode=False)
    answers = read_topic(stage.servers, topics.answers, "steady")
    account(requests, answers, read_topic(stage.servers, topics.dead, "steady")).check()
    return [float(one) for one in latencies(requests, answers)]


def _rate(stage: Stage, topics: Topics, backlog: _Backlog, mark: str) -> float:
    """Return the rows answered per second while a backlog is worked off."""
    traffic = replace(backlog.traffic, run=f"{backlog.traffic.run}-{mark}")
    # A few first, so that models are loaded and code is warm before the backlog comes
    for asked, messages in ((replace(traffic, run=f"warm-{traffic.run}"), WARM_MESSAGES), (traffic, backlog.count)):
        with sending(Load(stage.servers, topics.requests, asked, messages)) as generator:
            generator.finish()
        wait_for_answers(stage, topics)
    requests = read_topic(stage.servers, topics.requests, traffic.run, decode=False)
    answers = read_topic(stage.servers, topics.answers, traffic.run)
    account(requests, answers, read_topic(stage.servers, topics.dead, traffic.run)).check()
    return steady_rate(answers.ms) * traffic.rows


def _fleet(stage: Stage, shops: int) -> Side:
    @contextmanager
    def side() -> Iterator[Topics]:
        with serving(stage, shops) as (served, _):
            yield served.topics

    return side


def _pass(stage: Stage) -> Side:
    return _baseline(stage, "benchmarks.baselines.pass_through", [])


def _baseline(stage: Stage, module: str, arguments: list[str]) -> Side:
    @contextmanager
    def side() -> Iterator[Topics]:
        topics = stage.topics(module.rpartition(".")[2].replace("_", "-"))
        told = ["--servers", stage.servers, "--requests", topics.requests, "--answers", topics.answers]
        with stage.running(module, shops_spec("shops"), [*told, *arguments]):
            yield topics

    return side


def _each(figures: np.ndarray) -> str:
    return "/".join(f"{figure:.0f}" for figure in figures)
