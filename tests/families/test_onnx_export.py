"""What an exported model predicts, run by onnxruntime, against the family it came from."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from modelfleet.data.encoded import EncodedRows
from modelfleet.errors import BundleError, InputError
from modelfleet.families.catalog import make_family
from modelfleet.families.onnx_export import export_model

CASES = [
    ("tree", "binary", {}),
    ("tree", "multiclass", {"max_depth": None, "min_samples_leaf": 1}),
    ("tree", "regression", {}),
    ("logistic", "binary", {}),
    ("logistic", "multiclass", {}),
    ("linear", "regression", {}),
    ("sklearn", "binary", {"estimator": "sklearn.linear_model.LogisticRegression"}),
    ("sklearn", "multiclass", {"estimator": "sklearn.naive_bayes.GaussianNB", "numbers": "minmax"}),
    (
        "sklearn",
        "multiclass",
        {
            "estimator": "sklearn.ensemble.RandomForestClassifier",
            "arguments": {"n_estimators": 5},
            "categories": "ordinal",
            "numbers": "none",
            "impute": "median",
        },
    ),
    ("sklearn", "binary", {"estimator": "sklearn.linear_model.RidgeClassifier"}),
    ("sklearn", "regression", {"estimator": "sklearn.linear_model.Ridge", "categories": "ordinal"}),
    (
        "sklearn",
        "regression",
        {"estimator": "sklearn.tree.DecisionTreeRegressor", "numbers": "none", "impute": "constant"},
    ),
]


def run(data, rows):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_outputs()]
    return dict(zip(names, session.run(None, {"x": np.hstack([rows.codes, rows.numbers])}), strict=True))


@pytest.mark.parametrize(("family", "task", "parameters"), CASES)
def test_the_exported_model_predicts_the_same(make_schema, make_shard, make_rows, family, task, parameters):
    schema = make_schema(task)
    shard = make_shard(schema, [50, 300], missing=0.1)
    if task == "multiclass":
        shard.target[:50][shard.target[:50] == 1] = 2.0  # a class the first entity never had
    made = make_family(family, schema, parameters, seed=2)
    models = made.fit(shard).models
    rows = make_rows(schema, 500, np.random.default_rng(1), missing=0.2, unseen=0.1)
    rows.numbers[:5, 0] = [1e300, -1e300, np.inf, -np.inf, 1e-300]
    for which in range(2):
        expected = made.load(models).predict(rows, np.full(500, which, dtype=np.int32))
        data = export_model(family, schema, parameters, models.slice(which, 1), {"entity": f"e{which}"})
        found = run(data, rows)
        if task == "regression":
            np.testing.assert_allclose(found["prediction"], expected, rtol=1e-5, atol=1e-5)
            continue
        np.testing.assert_allclose(found["probabilities"], expected, rtol=0, atol=1e-5)
        near = np.sort(expected, axis=1)[:, -2:]
        clear = near[:, 1] - near[:, 0] > 1e-4
        labels = np.array(schema.classes)[expected.argmax(axis=1)]
        assert (found["label"][clear] == labels[clear]).all()


@pytest.mark.parametrize(("levels", "numbers"), [((), 2), ((3,), 0)])
@pytest.mark.parametrize("family", ["tree", "logistic", "sklearn"])
def test_categories_only_and_numbers_only(make_schema, make_shard, family, levels, numbers):
    schema = make_schema("binary", levels=levels, numbers=numbers)
    shard = make_shard(schema, [80])
    parameters = {"estimator": "sklearn.linear_model.LogisticRegression"} if family == "sklearn" else {}
    made = make_family(family, schema, parameters)
    models = made.fit(shard).models
    found = run(export_model(family, schema, parameters, models), shard.rows)["probabilities"]
    expected = made.load(models).predict(shard.rows, np.zeros(80, dtype=np.int32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_number_at_a_threshold_goes_where_it_went(make_schema, make_shard):
    """The threshold halfway between two float32 numbers is none itself."""
    schema = make_schema("binary", levels=(), numbers=1)
    shard = make_shard(schema, [40])
    low = np.float32(1000)
    high = np.nextafter(low, np.float32(np.inf))
    shard.rows.numbers[:, 0] = np.where(np.arange(40) % 2, high, low)
    shard.target[:] = np.arange(40) % 2
    models = make_family("tree", schema, {}).fit(shard).models
    found = run(export_model("tree", schema, {}, models), shard.rows)["probabilities"]
    np.testing.assert_array_equal(found[:, 1], shard.target)


def test_a_tree_of_one_leaf(make_schema, make_shard):
    schema = make_schema("regression")
    shard = make_shard(schema, [6])
    models = make_family("tree", schema, {}).fit(shard).models
    found = run(export_model("tree", schema, {}, models), shard.rows)["prediction"]
    np.testing.assert_allclose(found[:, 0], shard.target.mean(), rtol=1e-6)


def test_the_model_says_what_its_columns_are(make_schema, make_shard):
    schema = make_schema("binary", levels=(2,), numbers=1)
    models = make_family("tree", schema, {}).fit(make_shard(schema, [40])).models
    data = export_model("tree", schema, {}, models, {"entity": "e0"})
    assert data == export_model("tree", schema, {}, models, {"entity": "e0"})
    model = onnx.load_model_from_string(data)
    said = {each.key: each.value for each in model.metadata_props}
    assert json.loads(said["columns"]) == [
        {"name": "c0", "type": "category", "levels": ["l0", "l1"]},
        {"name": "n0", "type": "number"},
    ]
    assert json.loads(said["classes"]) == ["no", "yes"]
    assert (said["entity"], said["family"], said["target"]) == ("e0", "tree", "y")


def test_what_cannot_be_written_says_so(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [60])
    models = make_family("xgboost", schema, {}).fit(shard).models
    with pytest.raises(InputError, match="family 'xgboost' cannot be written as ONNX"):
        export_model("xgboost", schema, {}, models)
    process = {"estimator": "sklearn.semi_supervised.LabelSpreading"}
    models = make_family("sklearn", schema, process).fit(shard).models
    with pytest.raises(InputError, match="skl2onnx cannot write a LabelSpreading"):
        export_model("sklearn", schema, process, models)
    missing = {"estimator": "sklearn.tree.DecisionTreeClassifier", "impute": "none"}
    models = make_family("sklearn", schema, missing).fit(shard).models
    with pytest.raises(InputError, match=r"another model\.parameters\.impute than none"):
        export_model("sklearn", schema, missing, models)
    with pytest.raises(BundleError):
        export_model("tree", schema, {}, models)


def test_an_exported_model_comes_back_as_a_brought_one(make_schema, make_shard, make_rows, tmp_path):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [60, 80])
    made = make_family("logistic", schema, {})
    models = made.fit(shard).models
    for which in range(2):
        (tmp_path / f"e{which}.onnx").write_bytes(export_model("logistic", schema, {}, models.slice(which, 1)))
    parameters = {"models": str(tmp_path)}
    brought = make_family("onnx", schema, parameters)
    fitted = brought.fit(shard)
    assert fitted.failures == {}
    rows = make_rows(schema, 100, np.random.default_rng(0), missing=0.1, unseen=0.1)
    model = (np.arange(100) % 2).astype(np.int32)
    expected = made.load(models).predict(rows, model)
    np.testing.assert_allclose(brought.load(fitted.models).predict(rows, model), expected, rtol=0, atol=1e-6)
    again = export_model("onnx", schema, parameters, fitted.models.slice(0, 1))
    assert again == (tmp_path / "e0.onnx").read_bytes()


def test_rows_of_every_size(make_schema, make_shard):
    schema = make_schema("binary")
    models = make_family("tree", schema, {}).fit(make_shard(schema, [40])).models
    data = export_model("tree", schema, {}, models)
    for rows in (0, 1):
        nothing = EncodedRows(np.zeros((rows, 2), np.int32), np.zeros((rows, 3)))
        assert run(data, nothing)["probabilities"].shape == (rows, 2)
