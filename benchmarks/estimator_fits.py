"""CPU seconds of the families that fit entity by entity: `sklearn` against its Pipeline, and `xgboost`.

Run ``OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m benchmarks.estimator_fits [ROUNDS]``. Prints milliseconds per
model at 100 rows: fitted and stored by the family, by one Pipeline per entity on a pandas frame (not stored), and the
estimator's own fit on columns that are ready; then the ratio of the first two (median and range over rounds, all sides
in each), what loading takes, and bytes per model in a bundle's file.
"""

from __future__ import annotations

import importlib
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.linear_fits import LEVELS, NUMBERS, make_schema, make_shard
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family

ENTITIES, ROWS = 60, 100
CASES: dict[str, dict[str, Any]] = {
    "LogisticRegression": {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "arguments": {"max_iter": 200},
    },
    "the same, newton-cholesky": {
        "estimator": "sklearn.linear_model.LogisticRegression",
        "arguments": {"solver": "newton-cholesky"},
    },
    "DecisionTree, one-hot": {"estimator": "sklearn.tree.DecisionTreeClassifier", "numbers": "none"},
    "DecisionTree, ordinal": {
        "estimator": "sklearn.tree.DecisionTreeClassifier",
        "categories": "ordinal",
        "numbers": "none",
    },
    "GaussianNB": {"estimator": "sklearn.naive_bayes.GaussianNB", "numbers": "minmax"},
    "RandomForest, 10 trees": {
        "estimator": "sklearn.ensemble.RandomForestClassifier",
        "arguments": {"n_estimators": 10},
        "numbers": "none",
    },
}


def pipeline(parameters: dict[str, Any]) -> Any:
    """Return what a user would write."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

    module, _, name = parameters["estimator"].rpartition(".")
    estimator = getattr(importlib.import_module(module), name)(**parameters.get("arguments", {}))
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    if parameters.get("categories") == "ordinal":
        encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    scalers = {"none": [], "minmax": [MinMaxScaler()], "standard": [StandardScaler()]}
    numbers = make_pipeline(SimpleImputer(), *scalers[parameters.get("numbers", "standard")])
    categories = [f"c{j}" for j in range(len(LEVELS))]
    columns = [("categories", encoder, categories), ("numbers", numbers, [f"n{j}" for j in range(NUMBERS)])]
    return make_pipeline(ColumnTransformer(columns), estimator)


def frames(shard: TrainingShard) -> list[pd.DataFrame]:
    """Return each entity's rows as a user has them: texts and numbers."""
    texts = {f"c{j}": np.array([f"level {i}" for i in range(n + 1)], object) for j, n in enumerate(LEVELS)}
    columns = {name: levels[shard.rows.codes[:, j]] for j, (name, levels) in enumerate(texts.items())}
    frame = pd.DataFrame(columns | {f"n{j}": shard.rows.numbers[:, j] for j in range(NUMBERS)})
    return [frame.iloc[start : start + ROWS] for start in range(0, len(frame), ROWS)]


def milliseconds(work: Callable[[], object]) -> float:
    """Return CPU time per model."""
    start = time.process_time()
    work()
    return (time.process_time() - start) / ENTITIES * 1e3


def file_bytes(models: pa.Table) -> int:
    """Return the size of the table as a bundle stores it, per model."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, models.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_table(models)
    return int(sink.getvalue().size / models.num_rows)


def rounds_of(rounds: int, **works: Callable[[], object]) -> dict[str, list[float]]:
    """Return milliseconds per model of each work, all of them in every round."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            taken[name].append(milliseconds(work))
    return taken


def sklearn_line(parameters: dict[str, Any], shard: TrainingShard, rounds: int) -> str:
    """Measure one estimator."""
    rows = frames(shard)
    targets = [shard.target[start : start + ROWS].astype(int) for start in range(0, len(shard.target), ROWS)]
    family = make_family("sklearn", make_schema("binary"), parameters)
    models = family.fit(shard).models
    theirs = pipeline(parameters)
    ready = [theirs[0].fit_transform(frame) for frame in rows]
    taken = rounds_of(
        rounds,
        family=lambda: family.fit(shard),
        pipeline=lambda: [theirs.fit(*each) for each in zip(rows, targets, strict=True)],
        estimator=lambda: [theirs[1].fit(*each) for each in zip(ready, targets, strict=True)],
        load=lambda: family.load(models),
    )
    ratios = [b / a for a, b in zip(taken["family"], taken["pipeline"], strict=True)]
    spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
    median = {name: statistics.median(each) for name, each in taken.items()}
    return (
        f"{median['family']:8.2f}{median['pipeline']:10.2f}{median['estimator']:11.2f}{spread:>20}"
        f"{median['load']:8.2f}{file_bytes(models):8}"
    )


def xgboost_line(parameters: dict[str, Any], shard: TrainingShard, rounds: int) -> str:
    """Measure ten rounds of boosting."""
    family = make_family("xgboost", make_schema("binary"), parameters)
    models = family.fit(shard).models
    taken = rounds_of(rounds, family=lambda: family.fit(shard), load=lambda: family.load(models))
    median = {name: statistics.median(each) for name, each in taken.items()}
    return f"{median['family']:8.2f}{'':41}{median['load']:8.2f}{file_bytes(models):8}"


def main() -> None:
    """Print the table."""
    warnings.simplefilter("ignore")
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    shard = make_shard(make_schema("binary"), ENTITIES, ROWS)
    print(f"{'':28}{'family':>8}{'Pipeline':>10}{'estimator':>11}{'ratio':>20}{'load':>8}{'bytes':>8}")  # noqa: T201
    for name, parameters in CASES.items():
        print(f"{name:28}{sklearn_line(parameters, shard, rounds)}")  # noqa: T201
    for categories in ("native", "ordinal"):
        print(f"{'xgboost, ' + categories:28}{xgboost_line({'categories': categories}, shard, rounds)}")  # noqa: T201


if __name__ == "__main__":
    main()
