"""CPU seconds of `logistic` and `linear` against one scikit-learn Pipeline per entity.

Run ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.linear_fits [ROUNDS]``. Prints, for 100 and 1,000
rows per entity, milliseconds per model, their ratio (medians over rounds, both sides in each round), and the largest
difference of a prediction from scikit-learn's solution solved tightly.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from unittest import mock

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.families import linear, logistic_solver
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family

LEVELS = (8, 7, 14, 6, 5, 2, 41)
NUMBERS = 7
CLASSES = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c", "d"), "regression": ()}


def make_schema(task: str) -> Schema:
    """Return a schema of the shape of the UCI Adult data."""
    features = [Feature(name=f"c{j}", type="category", levels=tuple(map(str, range(n)))) for j, n in enumerate(LEVELS)]
    features += [Feature(name=f"n{j}", type="number") for j in range(NUMBERS)]
    return Schema(entity=("e",), target="y", task=task, classes=CLASSES[task], features=tuple(features))


def make_shard(schema: Schema, entities: int, rows: int, seed: int = 7) -> TrainingShard:
    """Return rows with Zipf-like levels whose target depends on them differently for each entity."""
    rng = np.random.default_rng(seed)
    n = entities * rows
    shares = [1 / np.arange(1, size + 1) ** 1.3 for size in LEVELS]
    codes = np.column_stack([rng.choice(len(s), n, p=s / s.sum()) + 1 for s in shares]).astype(np.int32)
    numbers = rng.normal(size=(n, NUMBERS)) * 10.0 ** np.arange(NUMBERS)
    entity = np.repeat(np.arange(entities), rows)
    effect = rng.normal(size=(entities, 3))
    signal = numbers[:, 0] * (1 + effect[entity, 0]) + (codes[:, 0] == 1) * effect[entity, 1] - (codes[:, 1] == 1)
    signal += rng.logistic(size=n)
    classes = len(schema.classes)
    cuts = np.quantile(signal, np.arange(1, classes) / classes) if classes else []
    target = np.searchsorted(cuts, signal).astype(np.float64) if classes else signal
    bounds = np.arange(entities + 1, dtype=np.int64) * rows
    return TrainingShard(tuple(map(str, range(entities))), bounds, EncodedRows(codes, numbers), target)


def pipeline(task: str, tight: bool = False) -> Pipeline:
    """Return what a user would write; or the same, solved to the last digit."""
    categories = list(range(len(LEVELS)))
    encode = ColumnTransformer(
        [
            ("levels", OneHotEncoder(handle_unknown="ignore", sparse_output=False), categories),
            ("numbers", StandardScaler(), list(range(len(LEVELS), len(LEVELS) + NUMBERS))),
        ]
    )
    if task == "regression":
        return Pipeline([("encode", encode), ("model", Ridge())])
    exact = LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=500)
    return Pipeline([("encode", encode), ("model", exact if tight else LogisticRegression(max_iter=1000))])


def measure(task: str, rows: int, entities: int, sample: int, rounds: int) -> dict[str, float]:
    """Return milliseconds per model of both sides, their ratio and the largest difference of a prediction."""
    schema = make_schema(task)
    shard = make_shard(schema, entities, rows)
    columns = np.column_stack([shard.rows.codes, shard.rows.numbers])
    family = make_family("linear" if task == "regression" else "logistic", schema, {})
    fitted = family.fit(shard)
    ours, theirs, by_numpy = [], [], []
    for _ in range(rounds):
        ours.append(_cpu(lambda: family.fit(shard)) / entities)
        theirs.append(
            _cpu(lambda: [_fit(pipeline(task), columns, shard, e) for e in range(sample)]) / sample,
        )
    with (
        mock.patch.object(logistic_solver, "linear_kernel", lambda _: None),
        mock.patch.object(linear, "linear_kernel", lambda _: None),
    ):
        few = make_shard(schema, sample, rows)
        by_numpy.append(_cpu(lambda: family.fit(few)) / sample)
    predicted = family.load(fitted.models).predict(shard.rows, np.repeat(np.arange(entities), rows).astype(np.int32))
    apart = 0.0
    for e in range(sample):
        part = slice(e * rows, (e + 1) * rows)
        exact = _fit(pipeline(task, tight=True), columns, shard, e)
        expected = exact.predict(columns[part])[:, None] if task == "regression" else exact.predict_proba(columns[part])
        apart = max(apart, float(np.abs(expected - predicted[part]).max()))
    return {
        "ours_ms": 1e3 * statistics.median(ours),
        "numpy_ms": 1e3 * statistics.median(by_numpy),
        "sklearn_ms": 1e3 * statistics.median(theirs),
        "ratio": statistics.median(b / a for a, b in zip(ours, theirs, strict=True)),
        "apart": apart,
    }


def _fit(made: Pipeline, columns: np.ndarray, shard: TrainingShard, entity: int) -> Pipeline:
    part = slice(int(shard.bounds[entity]), int(shard.bounds[entity + 1]))
    return made.fit(columns[part], shard.target[part])


def _cpu(work) -> float:  # type: ignore[no-untyped-def]
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{'task':12}{'rows':>6}{'ours ms':>10}{'numpy ms':>10}{'sklearn ms':>12}{'ratio':>8}{'apart':>10}")  # noqa: T201
    for task in CLASSES:
        for rows, entities, sample in ((100, 400, 60), (1000, 60, 20)):
            found = measure(task, rows, entities, sample, rounds)
            print(  # noqa: T201
                f"{task:12}{rows:6}{found['ours_ms']:10.3f}{found['numpy_ms']:10.3f}{found['sklearn_ms']:12.2f}"
                f"{found['ratio']:8.1f}{found['apart']:10.1e}"
            )


if __name__ == "__main__":
    main()
