"""CPU seconds of `tree` against one scikit-learn Pipeline per entity, what a tree takes to store, load and ask.

Run ``OMP_NUM_THREADS=1 python -m benchmarks.tree_fits [ROUNDS]``. Prints, for 100 and 1,000 rows per entity of the
generated census, milliseconds per model with numba, without it, and of a Pipeline, with the ratio to the Pipeline
(medians over rounds, all sides in each round); then bytes per stored model, milliseconds to load 10,000 and rows
predicted per CPU second, with numba and without.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelfleet.bundles.modelfile import write_shard
from modelfleet.data.census import CATEGORIES, census_table
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family
from modelfleet.families.kernels import compiled

NUMBERS = ("age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week")
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c", "d", "e"), "regression": ()}
KERNELS = ("counting_cart", "summing_cart", "tree_walk")


def make_schema(task: str) -> Schema:
    """Return the census columns, the entity's aside."""
    features = [Feature(name=name, type="category", levels=levels) for name, levels in CATEGORIES.items()]
    features += [Feature(name=name, type="number") for name in NUMBERS]
    return Schema(entity=("education",), target="y", task=task, classes=CLASSES[task], features=tuple(features))


def make_shard(task: str, entities: int, rows: int, seed: int = 7) -> TrainingShard:
    """Return generated census rows, entity after entity; targets other than two classes are made of its label."""
    table = census_table(entities * rows, entities, seed)
    key = table["education"].chunk(0).indices.to_numpy()
    order = np.argsort(key, kind="stable")
    codes = [table[name].chunk(0).indices.fill_null(-1).to_numpy() + 1 for name in CATEGORIES]
    numbers = np.column_stack([table[name].to_numpy() for name in NUMBERS]).astype(np.float64)[order]
    target = table["income"].chunk(0).indices.to_numpy()[order].astype(np.float64)
    random = np.random.default_rng(seed)
    if task == "multiclass":
        target = target * 2 + (random.random(len(target)) < 0.3) + (numbers[:, 0] > 45)
    elif task == "regression":
        target = np.round(target * 1000 + numbers[:, 0] * 12.5 + random.normal(size=len(target)) * 100, 2)
    bounds = np.searchsorted(key[order], np.arange(entities + 1)).astype(np.int64)
    names = tuple(f"level-{number:06d}" for number in range(entities))
    return TrainingShard(names, bounds, EncodedRows(np.column_stack(codes)[order].astype(np.int32), numbers), target)


def first(shard: TrainingShard, entities: int) -> TrainingShard:
    """Return the shard's first entities."""
    n = int(shard.bounds[entities])
    part = replace(shard, entities=shard.entities[:entities], bounds=shard.bounds[: entities + 1])
    return replace(part, rows=shard.rows.take(slice(n)), target=shard.target[:n])


def fit_pipelines(task: str, shard: TrainingShard) -> None:
    """Fit what a user would write, one per entity."""
    columns = np.column_stack([shard.rows.codes, shard.rows.numbers])
    width = len(CATEGORIES)
    for start, end in zip(shard.bounds[:-1], shard.bounds[1:], strict=True):
        levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
        numbers = list(range(width, width + len(NUMBERS)))
        encode = ColumnTransformer([("levels", levels, list(range(width))), ("numbers", MinMaxScaler(), numbers)])
        tree = (DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier)(random_state=0)
        Pipeline([("encode", encode), ("tree", tree)]).fit(columns[start:end], shard.target[start:end])


def measure(task: str, rows: int, entities: int, sample: int, rounds: int) -> str:
    """Return a line: fitting fully grown trees, and storing them."""
    shard = make_shard(task, entities, rows)
    few = first(shard, sample)
    parameters = {"max_depth": None, "min_samples_leaf": 1}
    family = make_family("tree", make_schema(task), parameters)
    models = family.fit(shard).models
    ours, plain, theirs = [], [], []
    for _ in range(rounds):
        ours.append(cpu(lambda: family.fit(shard)) / entities)
        with without_numba():
            plain.append(cpu(lambda: family.fit(few)) / sample)
        theirs.append(cpu(lambda: fit_pipelines(task, few)) / sample)
    with tempfile.TemporaryDirectory() as folder:
        size = write_shard(Path(folder), 0, "tree", parameters, make_schema(task), models).bytes / entities
    ratio = statistics.median(b / a for a, b in zip(ours, theirs, strict=True))
    times = "".join(f"{1e3 * statistics.median(found):11.3f}" for found in (ours, plain, theirs))
    return f"{task:12}{rows:6}{times}{ratio:8.1f}{size:9.0f}"


def without_numba():  # type: ignore[no-untyped-def]
    """Return a context in which no kernel is to be had."""
    return mock.patch.multiple(compiled, **{name: lambda: None for name in KERNELS})


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print("task          rows    ours ms   plain ms Pipeline ms  ratio    bytes")  # noqa: T201
    for task in CLASSES:
        for rows, entities, sample in ((100, 400, 60), (1000, 60, 20)):
            print(measure(task, rows, entities, sample, rounds))  # noqa: T201
    shard = make_shard("binary", 10_000, 100)
    family = make_family("tree", make_schema("binary"), {})
    models = family.fit(shard).models
    predictor = family.load(models)
    mixed = np.random.default_rng(0).permutation(len(shard.rows))
    model = np.repeat(np.arange(10_000, dtype=np.int32), np.diff(shard.bounds))[mixed]
    rows_mixed = shard.rows.take(mixed)
    load = statistics.median(cpu(lambda: family.load(models)) for _ in range(rounds))
    walk = statistics.median(cpu(lambda: predictor.predict(rows_mixed, model)) for _ in range(rounds))
    with without_numba():
        plain = statistics.median(cpu(lambda: predictor.predict(rows_mixed, model)) for _ in range(rounds))
    print(f"loading 10,000 trees: {1e3 * load:.0f} ms; a million rows of them mixed, M rows per CPU second:")  # noqa: T201
    print(f"numba {len(model) / walk / 1e6:.1f}, numpy {len(model) / plain / 1e6:.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
