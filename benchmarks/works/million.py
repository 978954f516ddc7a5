"""A bundle larger than the memory it may take: Zipf traffic over a million shops, most of them on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from benchmarks.bench import Bench
from benchmarks.result import Result, make_result
from benchmarks.stream.account import account, latencies
from benchmarks.stream.bootstrap import quantile_of
from benchmarks.stream.generator import Load, sending
from benchmarks.stream.memory import memory_of
from benchmarks.stream.reader import read_topic
from benchmarks.stream.serving import Served, serving
from benchmarks.stream.shops import PART
from benchmarks.stream.stage import Stage, until, wait_for_answers
from benchmarks.stream.traffic import Traffic

WORKS = ("million_latency", "million_misses", "million_models", "million_memory")
ZIPF = 1.0
LIMIT_MB = 500
LEASE_SECONDS = 1.0
LEASE_WAIT = 30.0


def measure(bench: Bench, stage: Stage) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    sizes = bench.sizes.serve
    bench.say(f"writing a bundle of {sizes.million:,} models")
    shards = max(sizes.million // PART, 1)
    with serving(stage, sizes.million, shards=shards, memory_mb=LIMIT_MB, lease_seconds=LEASE_SECONDS) as (served, _):
        bench.say(f"Zipf({ZIPF}) traffic over them, {2 * sizes.million_seconds:.0f} s")
        for run in ("warm", "million"):
            traffic = Traffic(run, sizes.million, ZIPF)
            count = int(sizes.million_rate * sizes.million_seconds)
            load = Load(stage.servers, served.topics.requests, traffic, count, sizes.million_rate)
            if run == "million":
                before = _uses(served)
            with sending(load) as generator:
                late = generator.finish().late
            wait_for_answers(stage, served.topics)
        after = _uses(served)
        memory = memory_of(served.processes())
    topics = served.topics
    requests = read_topic(stage.servers, topics.requests, traffic.run, decode=False)
    answers = read_topic(stage.servers, topics.answers, traffic.run)
    account(requests, answers, read_topic(stage.servers, topics.dead, traffic.run)).check()
    took = (latencies(requests, answers) / 1e3).tolist()
    size = f"{sizes.million:,} models in {shards:,} files, {sizes.million_rate:,.0f} requests/s"
    p99 = quantile_of(took, 0.99)
    note = f"p50 {np.quantile(took, 0.5):.3f} s, largest {max(took):.2f} s; generator late for {late:,}"
    yield make_result("million_latency", [p99.value], size=size, note=note, spread=p99.interval, repeats=len(took))
    wanted, missed = after.wanted - before.wanted, after.misses - before.misses
    note = f"{missed:,} of {wanted:,} times that a batch wanted a block"
    yield make_result("million_misses", [100.0 * missed / max(wanted, 1)], size=size, note=note, repeats=wanted)
    yield make_result("million_models", [after.megabytes], size=size, note=f"limit {LIMIT_MB} MB")
    note = f"private to the process; {memory.shared / 1e6:.0f} MB shared"
    yield make_result("million_memory", [memory.private / 1e6], size=size, note=note)


@dataclass(frozen=True)
class _Use:
    wanted: int
    misses: int
    megabytes: float


def _uses(served: Served) -> _Use:
    """Return what the leases say of all processes' models, once each has renewed its lease."""
    asked = datetime.now(UTC)
    until(lambda: all(lease.renewed_at > asked for lease in served.leases()), LEASE_WAIT, "leases are not renewed")
    uses = [lease.memory for lease in served.leases() if lease.memory is not None]
    return _Use(
        sum(use.hits + use.misses for use in uses),
        sum(use.misses for use in uses),
        sum(use.nbytes for use in uses) / 1e6,
    )
