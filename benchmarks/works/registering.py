"""Registering: a whole fleet as one version of MLflow, against one per entity; loading one entity of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.bench import Bench, cpu
from benchmarks.data import first_entities
from benchmarks.result import Result, make_result
from benchmarks.side import Side

WORKS = ("register", "register_step", "register_per_entity", "pyfunc_one_entity", "pyfunc_load")
OURS, STEP, EACH, ONE, ALL = "registering", "the step register", "MLflow per entity", "one entity", "all entities"


def measure(bench: Bench) -> Iterator[Result]:
    """Measure what is wanted of these works."""
    size = bench.sizes.small
    data = bench.census(size)
    warm = first_entities(data, bench.sizes.warm)
    files = {"data": str(data), "warm_data": str(warm), "mlflow": str(bench.folder("mlflow"))}

    def registering(name: str, **told: Any) -> Side:
        return Side(name, "benchmarks.ours.register", files | told)

    sides = []
    if bench.wants("register", "register_per_entity"):
        sides.append(registering(OURS, whole_step=False))
    if bench.wants("register_step"):
        sides.append(registering(STEP, whole_step=True))
    if bench.wants("register_per_entity"):
        sides.append(_each(bench))
    if bench.wants("pyfunc_one_entity", "pyfunc_load"):
        loading: Mapping[str, Any] = {name: files[name] for name in ("data", "mlflow")}
        first = bench.once(registering("a registered fleet", whole_step=True))
        loading = loading | {"version": first.extra["version"]}
        sides.append(Side(ONE, "benchmarks.ours.pyfunc", loading | {"all": False}))
        sides.append(Side(ALL, "benchmarks.ours.pyfunc", loading | {"all": True}))
    found = bench.rounds(sides)
    models = f"{size.entities:,} models"
    if bench.wants("register"):
        yield make_result("register", cpu(found[OURS]), size=models)
    if bench.wants("register_step"):
        yield make_result("register_step", cpu(found[STEP]), size=models)
    if bench.wants("register_per_entity"):
        done = bench.sizes.mlflow_sample
        theirs = [one.cpu_seconds * size.entities / done for one in found[EACH]]
        note = f"measured on {done} entities, scaled to {size.entities:,}"
        yield make_result("register_per_entity", cpu(found[OURS]), theirs, size=models, note=note)
    if bench.wants("pyfunc_one_entity"):
        files_of_all = found[ALL][0].extra["files"]
        read = [float(one.extra["files"]) for one in found[ONE]]
        yield make_result("pyfunc_one_entity", read, size=models, note=f"all entities: {files_of_all} files")
    if bench.wants("pyfunc_load"):
        yield make_result("pyfunc_load", cpu(found[ONE]), cpu(found[ALL]), size=models)


def _each(bench: Bench) -> Side:
    told = {"entities": bench.sizes.mlflow_sample, "folder": str(bench.folder("mlflow-each"))}
    return Side(EACH, "benchmarks.baselines.mlflow_per_entity", told, most_rounds=1)
