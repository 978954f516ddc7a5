"""`sklearn` against the scikit-learn Pipeline that does the same, entity by entity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelfleet.data.encoded import EncodedRows
from modelfleet.families.catalog import make_family
from modelfleet.families.design import Layout
from modelfleet.families.recipe import Recipe
from modelfleet.families.segments import medians

SIZES = [120, 45, 200]
BALANCED = {"class_weight": "balanced"}
CASES = [
    (LogisticRegression, "binary", {"max_iter": 500}, "onehot", "standard", "mean"),
    (LogisticRegression, "multiclass", {"max_iter": 500} | BALANCED, "onehot", "minmax", "median"),
    (GaussianNB, "binary", {}, "ordinal", "standard", "constant"),
    (GaussianNB, "multiclass", {}, "onehot", "none", "median"),
    (DecisionTreeClassifier, "multiclass", {"max_depth": 5}, "ordinal", "none", "median"),
    (DecisionTreeClassifier, "binary", {"max_depth": 5}, "onehot", "none", "none"),
    (RandomForestClassifier, "binary", {"n_estimators": 4}, "onehot", "none", "constant"),
    (DecisionTreeRegressor, "regression", {"max_depth": 4}, "ordinal", "none", "mean"),
    (Ridge, "regression", {}, "onehot", "standard", "median"),
    (Ridge, "regression", {}, "ordinal", "minmax", "mean"),
]


def pipeline(layout, categories, numbers, impute, fill_value, codes, estimator):
    """Return what a user would write, for columns that are codes and then numbers."""
    levels = [np.unique(column[column >= 0]) for column in codes.T]  # -1 is a level the schema does not know
    if categories == "onehot":
        encoder = OneHotEncoder(categories=levels, handle_unknown="ignore", sparse_output=False)
    else:
        encoder = OrdinalEncoder(categories=levels, handle_unknown="use_encoded_value", unknown_value=-1)
    steps = []
    if impute != "none":
        steps.append(SimpleImputer(strategy=impute, fill_value=fill_value, keep_empty_features=True))
    steps += {"standard": [StandardScaler()], "minmax": [MinMaxScaler()], "none": []}[numbers]
    width = len(layout.offsets) - 1
    return Pipeline(
        [
            (
                "columns",
                ColumnTransformer(
                    [
                        ("categories", encoder, list(range(width))),
                        (
                            "numbers",
                            Pipeline([(str(i), step) for i, step in enumerate(steps)]) if steps else "passthrough",
                            list(range(width, width + layout.numbers)),
                        ),
                    ]
                ),
            ),
            ("estimator", estimator),
        ]
    )


def columns(rows):
    return np.column_stack([rows.codes, rows.numbers])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("estimator", "task", "arguments", "categories", "numbers", "impute"), CASES)
def test_equals_the_pipeline(
    make_schema, make_shard, make_rows, estimator, task, arguments, categories, numbers, impute, weighted
):
    schema = make_schema(task)
    shard = make_shard(schema, SIZES, missing=0.15)
    shard.rows.numbers[: SIZES[0], 1] = np.nan  # a column without a value
    shard.rows.numbers[-SIZES[2] :, 2] = 0.1  # a constant one
    shard.rows.codes[::11, 0] = -1
    if weighted:
        weights = np.random.default_rng(7).integers(1, 5, len(shard.target)).astype(float)
        shard = type(shard)(shard.entities, shard.bounds, shard.rows, shard.target, weights)
    parameters = {
        "estimator": f"{estimator.__module__}.{estimator.__name__}", "arguments": arguments, "categories": categories,
        "numbers": numbers, "impute": impute, "fill_value": 2.5,
    }  # fmt: skip
    family = make_family("sklearn", schema, parameters, seed=5)
    fitted = family.fit(shard)
    assert fitted.failures == {}
    predictor = family.load(fitted.models)
    unseen = make_rows(schema, 300, np.random.default_rng(1), missing=0.2, unseen=0.2)
    for which in range(len(SIZES)):
        part = slice(int(shard.bounds[which]), int(shard.bounds[which + 1]))
        rows, target = shard.rows.take(part), shard.target[part]
        made = estimator(**arguments, **({"random_state": 5} if "random_state" in estimator().get_params() else {}))
        theirs = pipeline(Layout.of(schema), categories, numbers, impute, 2.5, rows.codes, made)
        fit = {} if shard.weights is None else {"estimator__sample_weight": shard.weights[part]}
        theirs.fit(columns(rows), target, **fit)
        if task == "regression":
            expected = theirs.predict(columns(unseen))[:, None]
        else:
            expected = theirs.predict_proba(columns(unseen))
        found = predictor.predict(unseen, np.full(300, which, dtype=np.int32))
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@st.composite
def shards(draw):
    """Rows of some entities, empty ones among them: levels, numbers with gaps and repeats, and bounds."""
    sizes = draw(st.lists(st.integers(0, 8), min_size=1, max_size=5))
    n = sum(sizes)
    number = st.one_of(st.just(np.nan), st.sampled_from([0.0, 1.0, -2.5]), st.floats(-1e6, 1e6, allow_subnormal=False))
    codes = draw(st.lists(st.tuples(st.integers(-1, 3), st.integers(-1, 2)), min_size=n, max_size=n))
    numbers = draw(st.lists(st.tuples(number, number), min_size=n, max_size=n))
    bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    rows = EncodedRows(np.array(codes, np.int32).reshape(n, 2), np.array(numbers, float).reshape(n, 2))
    first = bounds[:-1][np.diff(bounds) > 0]
    rows.codes[first] = np.maximum(rows.codes[first], 0)  # scikit-learn's encoders want at least one level
    return rows, bounds


@settings(max_examples=60)
@given(
    shards(),
    st.sampled_from(["onehot", "ordinal"]),
    st.sampled_from(["none", "standard", "minmax"]),
    st.sampled_from(["mean", "median", "constant", "none"]),
)
def test_columns_are_those_of_scikit_learns_transformers(shard, categories, numbers, impute):
    rows, bounds = shard
    layout = Layout(np.array([0, 4, 7]), 2)
    recipe = Recipe(layout, categories, impute, 0.5, numbers)
    learnt = recipe.learn(rows, bounds)
    found = list(learnt.matrices(rows, bounds, np.arange(len(bounds) - 1)))
    for dense, start, end in zip(found, bounds, bounds[1:], strict=False):
        if start == end:
            assert dense.shape[0] == 0
            continue
        part = rows.take(slice(int(start), int(end)))
        if impute == "none" and np.isnan(part.numbers).all(axis=0).any():
            continue  # scikit-learn's scalers answer NaN to everything there, and warn
        theirs = pipeline(layout, categories, numbers, impute, 0.5, part.codes, None)[0].fit_transform(columns(part))
        np.testing.assert_allclose(dense, theirs, rtol=1e-9, atol=1e-9)


@given(st.lists(st.lists(st.one_of(st.just(np.nan), st.floats(-1e9, 1e9)), max_size=9), min_size=1, max_size=6))
def test_medians(segments):
    bounds = np.concatenate([[0], np.cumsum([len(each) for each in segments])]).astype(np.int64)
    values = np.array([value for each in segments for value in each], float)[:, None]
    for each, found in zip(segments, medians(values, bounds)[:, 0], strict=True):
        known = [value for value in each if not np.isnan(value)]
        assert found == np.median(known) if known else np.isnan(found)


def test_blocks_do_not_change_a_result(make_schema, make_shard, monkeypatch):
    from modelfleet.families import recipe

    schema = make_schema("binary")
    shard = make_shard(schema, [30, 0, 50, 20])
    learnt = Recipe(Layout.of(schema), "onehot", "mean", 0.0, "standard").learn(shard.rows, shard.bounds)
    whole = list(learnt.matrices(shard.rows, shard.bounds, np.arange(4)))
    monkeypatch.setattr(recipe, "BLOCK_CELLS", 100)
    apart = list(learnt.matrices(shard.rows, shard.bounds, np.arange(4)))
    assert len(whole) == len(apart) == 4
    for one, other in zip(whole, apart, strict=True):
        np.testing.assert_array_equal(one, other)
