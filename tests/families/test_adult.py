"""On the Adult data each entity's models are those that a scikit-learn Pipeline of its own would be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelfleet.data.encode import encode_table
from modelfleet.data.schema import Feature, Schema
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family

ADULT = Path(__file__).parents[2] / "examples" / "adult" / "adult.data"
NAMES = (
    "age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation", "relationship", "race",
    "sex", "capital_gain", "capital_loss", "hours", "country", "income",
)  # fmt: skip
CATEGORIES = ["workclass", "marital_status", "occupation", "relationship", "race", "sex", "country"]
NUMBERS = ["age", "capital_gain", "capital_loss", "fnlwgt"]  # that of years of education is constant in each entity
CLASSES = ("<=50K", ">50K")
GROWN = {"max_depth": None, "min_samples_leaf": 1}
ONE_CLASS = "Preschool"


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    read = pd.read_csv(ADULT, names=NAMES, skipinitialspace=True, na_filter=False)
    return read.sort_values("education", kind="stable").reset_index(drop=True)


@pytest.fixture(scope="module")
def train(frame: pd.DataFrame) -> np.ndarray:
    return np.random.default_rng(0).random(len(frame)) < 0.7


def shard_of(frame: pd.DataFrame, schema: Schema) -> TrainingShard:
    sizes = frame.groupby("education", sort=True).size()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    target = frame["hours"] if not schema.classes else frame["income"] == ">50K"
    bounds = np.concatenate([[0], np.cumsum(sizes.to_numpy())]).astype(np.int64)
    return TrainingShard(tuple(sizes.index), bounds, encode_table(schema, table), target.to_numpy(np.float64))


def schema_of(frame: pd.DataFrame, task: str) -> Schema:
    levels = {name: tuple(sorted(set(frame[name]))) for name in CATEGORIES}
    features = [Feature(name=name, type="category", levels=levels[name]) for name in CATEGORIES]
    features += [Feature(name=name, type="number") for name in NUMBERS]
    classes = CLASSES if task == "binary" else ()
    return Schema(entity=("education",), target="y", task=task, classes=classes, features=tuple(features))


def pipeline_of(estimator: object, scaled: bool) -> object:
    numbers = StandardScaler() if scaled else "passthrough"
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_pipeline(make_column_transformer((encoder, CATEGORIES), (numbers, NUMBERS)), estimator)


@pytest.mark.parametrize(
    ("family", "task", "parameters", "theirs", "apart"),
    [
        ("tree", "binary", GROWN, DecisionTreeClassifier(random_state=0), 0.0),
        ("tree", "regression", GROWN | {"max_depth": 8}, DecisionTreeRegressor(random_state=0, max_depth=8), 0.0),
        ("logistic", "binary", {}, LogisticRegression(solver="newton-cholesky", tol=1e-12, max_iter=1000), 1e-6),
        ("linear", "regression", {}, Ridge(), 1e-6),
        (
            "sklearn",
            "regression",
            {"estimator": "sklearn.linear_model.Ridge", "arguments": {"alpha": 2.0}},
            Ridge(alpha=2.0),
            1e-9,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_every_entity_has_its_pipelines_model(frame, train, family, task, parameters, theirs, apart) -> None:
    schema = schema_of(frame, task)
    ours = make_family(family, schema, parameters)
    fitted = ours.fit(shard_of(frame[train], schema))
    assert set(fitted.failures) == ({ONE_CLASS} if family == "logistic" else set())
    entities = fitted.models["entity"].to_pylist()
    assert len(entities) + len(fitted.failures) == 16
    held = frame[~train & frame["education"].isin(entities)]
    shard = shard_of(held, schema)
    model = np.repeat(np.arange(len(entities), dtype=np.int32), np.diff(shard.bounds))
    found = ours.load(fitted.models).predict(shard.rows, model)
    for number, entity in enumerate(entities):
        seen = frame[train & (frame["education"] == entity)]
        target = seen["income"] == ">50K" if schema.classes else seen["hours"].astype(float)
        pipeline = pipeline_of(theirs, scaled=family != "tree").fit(seen, target)
        rows = held[held["education"] == entity]
        expected = pipeline.predict_proba(rows) if schema.classes else pipeline.predict(rows)[:, None]
        own = found[shard.bounds[number] : shard.bounds[number + 1]]
        if expected.shape[1] == 1 and schema.classes:  # an entity that knows one class only
            own = own[:, pipeline.classes_.astype(int)]
        np.testing.assert_allclose(own, expected, rtol=0, atol=apart, err_msg=entity)
