"""Scoring: file to file through Beam, called directly, against KeyedModelHandler; the bundle's size and loading it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.bench import Bench
from benchmarks.data import first_entities
from benchmarks.result import Result, make_result
from benchmarks.side import Measured, Side

KEYED = ("score_keyed_16", "score_keyed_200", "score_keyed_1000")
WORKS = ("bundle_bytes", "load", "score_rate", "score_direct", *KEYED)
OURS, DIRECT, LOAD = "modelfleet score", "scoring called directly", "loading"


def measure(bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of these works, all on one fleet of fully grown trees."""
    size = bench.sizes.small
    data = bench.census(size)
    warm = first_entities(data, bench.sizes.warm)
    homes = {"home": str(bench.champion(data)), "warm_home": str(bench.champion(warm))}
    files = homes | {"data": str(data), "warm_data": str(warm)}
    sides = []
    if bench.wants("score_rate", *KEYED):
        sides.append(Side(OURS, "benchmarks.ours.score", files))
    if bench.wants("score_direct"):
        sides.append(Side(DIRECT, "benchmarks.ours.score", files | {"beam": False}))
    if bench.wants("bundle_bytes", "load"):
        sides.append(Side(LOAD, "benchmarks.ours.load", homes))
    keyed = {}
    # The sizes for trying have fewer keys than the works are called after; the note says how many
    for work, (keys, rows) in zip(KEYED, bench.sizes.keyed, strict=True):
        if bench.wants(work):
            told = {"keys": keys, "rows": rows, "folder": str(bench.scratch / "keyed")}
            keyed[work] = Side(f"KeyedModelHandler, {keys} keys", "benchmarks.baselines.keyed_handler", told, 2)
    found = bench.rounds([*sides, *keyed.values()])
    if bench.wants("bundle_bytes"):
        counted = [one.extra["bytes"] / one.extra["units"] for one in found[LOAD][:1]]
        yield make_result("bundle_bytes", counted, size=str(size), note="bundle.json, index and model files")
    if bench.wants("load"):
        yield make_result("load", [one.cpu_seconds * 1e3 for one in found[LOAD]], size=str(size))
    if bench.wants("score_rate"):
        yield make_result("score_rate", _rates(found[OURS]), size=str(size))
    if bench.wants("score_direct"):
        yield make_result("score_direct", _rates(found[DIRECT]), size=str(size))
    for work, side in keyed.items():
        note = f"{side.config['keys']:,} keys; {side.config['rows']:,} rows, neither read nor encoded nor written"
        yield make_result(work, _rates(found[OURS]), _rates(found[side.name]), size=str(size), note=note)


def _rates(measured: Sequence[Measured]) -> list[float]:
    return [one.extra["units"] / one.cpu_seconds for one in measured]
