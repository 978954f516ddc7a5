from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
import xgboost
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.errors import BundleError
from modelfleet.families.boosting import tree_columns
from modelfleet.families.catalog import make_family

OBJECTIVES = {
    "binary": {"objective": "binary:logistic"},
    "multiclass": {"objective": "multi:softprob", "num_class": 3},
    "regression": {"objective": "reg:squarederror"},
}


def predict(family, models, rows):
    return family.load(models).predict(rows, np.zeros(len(rows), dtype=np.int32))


@pytest.mark.parametrize("categories", ["native", "ordinal"])
@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_predicts_what_xgboost_predicts(make_schema, make_shard, make_rows, task, categories):
    schema = make_schema(task)
    shard = make_shard(schema, [200], missing=0.1)
    weights = np.random.default_rng(1).random(200)
    shard = type(shard)(shard.entities, shard.bounds, shard.rows, shard.target, weights)
    family = make_family("xgboost", schema, {"rounds": 6, "max_depth": 3, "categories": categories}, seed=4)
    unseen = make_rows(schema, 100, np.random.default_rng(0), missing=0.2, unseen=0.1)
    types = ["c" if categories == "native" else "q"] * 2 + ["q"] * 3

    def matrix(rows, **more):
        return xgboost.DMatrix(tree_columns(rows), feature_types=types, enable_categorical=True, **more)

    options = {"tree_method": "hist", "max_depth": 3, "eta": 0.3, "seed": 4, "nthread": 1} | OBJECTIVES[task]
    theirs = xgboost.train(options, matrix(shard.rows, label=shard.target, weight=weights), 6)
    expected = theirs.predict(matrix(unseen))
    if task == "binary":
        expected = np.column_stack([1 - expected, expected])
    found = predict(family, family.fit(shard).models, unseen)
    np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-6, atol=1e-6)


def test_draws_by_the_seed(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [120])
    drawn = {"subsample": 0.5, "colsample": 0.5}
    first, again, other = (make_family("xgboost", schema, drawn, seed=seed).fit(shard).models for seed in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_balanced_classes_weigh_the_same(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [120])
    shard.target[:] = np.arange(120) % 6 == 0
    weights = np.random.default_rng(1).random(120) + 0.1
    by_hand = weights * np.where(shard.target == 1, weights.sum() / weights[::6].sum() / 2, 1.0)
    by_hand[shard.target == 0] *= weights.sum() / weights[shard.target == 0].sum() / 2

    def models(parameters, weights):
        weighted = type(shard)(shard.entities, shard.bounds, shard.rows, shard.target, weights)
        family = make_family("xgboost", schema, parameters)
        return predict(family, family.fit(weighted).models, shard.rows)

    np.testing.assert_allclose(models({"class_weight": "balanced"}, weights), models({}, by_hand), atol=1e-5)


def test_two_of_three_classes_are_two_classes(make_schema, make_shard):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [80])
    shard.target[shard.target == 1] = 2.0
    family = make_family("xgboost", schema, {})
    models = family.fit(shard).models
    assert models["classes"].to_pylist() == [[0, 2]]
    assert json.loads(models["model"][0].as_py())["learner"]["objective"]["name"] == "binary:logistic"
    assert (predict(family, models, shard.rows)[:, 1] == 0).all()


def test_a_stored_model_is_xgboosts_own(make_schema, make_shard, tmp_path):
    schema = make_schema("regression")
    shard = make_shard(schema, [90])
    family = make_family("xgboost", schema, {})
    models = family.fit(shard).models
    file = tmp_path / "model.json"
    file.write_bytes(models["model"][0].as_py())
    theirs = xgboost.Booster(model_file=file).inplace_predict(tree_columns(shard.rows))
    np.testing.assert_array_equal(predict(family, models, shard.rows)[:, 0], theirs)


def forged(models, blob):
    return models.set_column(1, "model", pa.array([blob], pa.large_binary()))


@pytest.fixture
def trained(make_schema, make_shard):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [90])
    family = make_family("xgboost", schema, {"rounds": 2, "max_depth": 3})
    return family, family.fit(shard).models, shard.rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["left_children"].__setitem__(0, 0), "do not form trees"),
        (lambda tree: tree["right_children"].__setitem__(0, 10**6), "do not form trees"),
        (lambda tree: tree["split_indices"].__setitem__(0, 5), "a column or a kind of split that is not there"),
        (lambda tree: tree["split_conditions"].__setitem__(0, float("inf")), "not finite"),
        (lambda tree: tree["sum_hessian"].pop(), "one entry per node"),
        (lambda tree: tree["parents"].__setitem__(0, 2**70), "out of range"),
        (lambda tree: tree["split_type"].__setitem__(0, 1 - tree["split_type"][0]), "test categories"),
        (lambda tree: tree.update(id=7), "says"),
        (lambda tree: tree.pop("categories"), "not those of a tree"),
        (lambda tree: tree["tree_param"].update(size_leaf_vector="9"), "says"),
    ],
)
def test_a_damaged_tree_is_refused(trained, change, message):
    family, models, _ = trained
    document = json.loads(models["model"][0].as_py())
    change(document["learner"]["gradient_booster"]["model"]["trees"][1])
    with pytest.raises(BundleError, match=f"the model of entity 'e0' cannot be loaded.*{message}"):
        family.load(forged(models, json.dumps(document).encode()))


def test_a_model_of_another_objective_or_of_fewer_classes_is_refused(trained, make_schema, make_shard):
    family, models, _ = trained
    schema = make_schema("regression")
    other = make_family("xgboost", schema, {}).fit(make_shard(schema, [90])).models
    with pytest.raises(BundleError, match="objective, classes or features are not those"):
        family.load(forged(models, other["model"][0].as_py()))
    for classes in ([0, 1], [0, 1, 3], [2, 1, 0], []):
        with pytest.raises(BundleError, match="'e0'"):
            family.load(models.set_column(2, "classes", pa.array([classes], pa.list_(pa.int32()))))


@st.composite
def damage(draw):
    """What to do to a document: descend by these choices, then put this value there, or cut the bytes."""
    value = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=3), st.just([])
    )
    return draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=9)), draw(value)


@settings(max_examples=300)
@given(damage())
def test_no_damaged_model_gets_past_the_check(trained, hurt):
    """XGBoost would crash the process on many of these."""
    family, models, rows = trained
    choices, value = hurt
    document = node = json.loads(models["model"][0].as_py())
    for choice in choices:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = keys[choice % len(keys)]
        if not isinstance(node[key], dict | list) or not node[key] or choice == choices[-1]:
            node[key] = value
            break
        node = node[key]
    try:
        found = predict(family, forged(models, json.dumps(document).encode()), rows)
    except BundleError:
        return
    assert found.shape == (90, 3)


@pytest.mark.parametrize("blob", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b'{"learner": {}}', b"[" * 100_000])
def test_what_is_no_model_is_refused(trained, blob):
    family, models, _ = trained
    with pytest.raises(BundleError, match="entity 'e0' cannot be loaded"):
        family.load(forged(models, blob))
