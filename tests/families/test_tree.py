from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelfleet.errors import BundleError, SpecError
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family
from modelfleet.families.design import Layout
from modelfleet.families.kernels import compiled


@pytest.mark.parametrize(
    ("task", "parameters", "missing"),
    [
        ("binary", {"max_depth": None, "min_samples_leaf": 1}, 0.0),
        ("binary", {"max_depth": 6, "min_samples_leaf": 3}, 0.2),
        ("binary", {"max_depth": None, "min_samples_leaf": 2, "class_weight": "balanced"}, 0.0),
        ("multiclass", {"max_depth": None, "min_samples_leaf": 1}, 0.0),
        ("regression", {"max_depth": None, "min_samples_leaf": 4}, 0.2),
    ],
)
def test_predicts_what_scikit_learn_predicts(make_schema, make_shard, make_rows, task, parameters, missing):
    schema = make_schema(task)
    shard = make_shard(schema, [120, 90, 200], seed=5, missing=missing)
    family = make_family("tree", schema, parameters, seed=11)
    predictor = family.load(family.fit(shard).models)
    unseen = make_rows(schema, 400, np.random.default_rng(6), missing=missing, unseen=0.1)
    for which, (start, end) in enumerate(zip(shard.bounds[:-1], shard.bounds[1:], strict=True)):
        rows, target = shard.rows.take(slice(start, end)), shard.target[start:end]
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(rows.codes)

        def dense(rows, encoder=encoder):
            return np.hstack([encoder.transform(rows.codes), rows.numbers])

        make = DecisionTreeRegressor if task == "regression" else DecisionTreeClassifier
        theirs = make(random_state=11, **parameters).fit(dense(rows), target)
        expected = (
            theirs.predict(dense(unseen))[:, None] if task == "regression" else theirs.predict_proba(dense(unseen))
        )
        found = predictor.predict(unseen, np.full(400, which, dtype=np.int32))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15 if task != "regression" else 1e-9)


@pytest.mark.parametrize(
    ("task", "parameters", "missing"),
    [
        ("binary", {}, 0.0),
        ("binary", {"max_depth": None, "min_samples_leaf": 1, "class_weight": {"yes": 2.5}}, 0.2),
        ("multiclass", {"class_weight": "balanced"}, 0.2),
        ("regression", {"max_depth": None, "min_samples_leaf": 2}, 0.2),
    ],
)
def test_without_numba_everything_is_the_same(
    make_schema, make_shard, make_rows, monkeypatch, task, parameters, missing
):
    schema = make_schema(task)
    shard = make_shard(schema, [50, 120, 1], missing=missing)
    family = make_family("tree", schema, parameters)
    rows = make_rows(schema, 500, np.random.default_rng(2), missing=missing, unseen=0.1)
    model = (np.arange(500) % 3).astype(np.int32)
    by_kernel = family.fit(shard).models
    expected = family.load(by_kernel).predict(rows, model)
    for name in ("counting_cart", "summing_cart", "tree_walk"):
        monkeypatch.setattr(compiled, name, lambda: None)
    assert family.fit(shard).models.equals(by_kernel)
    np.testing.assert_array_equal(family.load(by_kernel).predict(rows, model), expected)


def test_a_class_weight_for_each_class(make_schema, make_shard, make_rows):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [150])
    family = make_family("tree", schema, {"max_depth": None, "min_samples_leaf": 1, "class_weight": {"a": 3, "c": 0.1}})
    layout = Layout.of(schema)
    seen = layout.seen(shard.rows.codes)

    def dense(rows):
        found = np.zeros((len(rows), len(seen) + 3), dtype=np.float32)
        layout.one_hot(rows.codes, seen, found)
        found[:, len(seen) :] = rows.numbers
        return found

    theirs = DecisionTreeClassifier(random_state=0, class_weight={0: 3.0, 1: 1.0, 2: 0.1})
    theirs.fit(dense(shard.rows), shard.target)
    rows = make_rows(schema, 300, np.random.default_rng(4))
    found = family.load(family.fit(shard).models).predict(rows, np.zeros(300, dtype=np.int32))
    np.testing.assert_array_equal(found, theirs.predict_proba(dense(rows)))


def test_weights_of_rows_and_of_classes_multiply(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [80])
    weights = np.random.default_rng(0).random(80)
    both = make_family("tree", schema, {"class_weight": {"yes": 4}}).fit(replace(shard, weights=weights))
    by_hand = replace(shard, weights=weights * np.where(shard.target == 1, 4.0, 1.0))
    assert both.models.equals(make_family("tree", schema, {}).fit(by_hand).models)


def test_rows_without_weight_change_nothing_but_what_is_drawn(make_schema, make_shard):
    schema = make_schema("regression", levels=())
    shard = make_shard(schema, [60, 40])
    first = TrainingShard(("e0",), np.array([0, 60]), shard.rows.take(slice(0, 60)), shard.target[:60], np.ones(60))
    weights = np.repeat([1.0, 0.0], [60, 40])
    together = TrainingShard(("e0",), np.array([0, 100]), shard.rows, shard.target, weights)
    family = make_family("tree", schema, {})
    assert family.fit(together).models.equals(family.fit(first).models)


@pytest.mark.parametrize(
    ("weight", "reason"),
    [
        (-1.0, "1 of its 30 training rows have a weight that is not from 0 to 1e+150"),
        (np.nan, "1 of its 30 training rows have a weight that is not from 0 to 1e+150"),
        (0.0, "the weights of its training rows sum to zero"),
    ],
)
def test_weights_that_cannot_be_used_are_a_failure(make_schema, make_shard, weight, reason):
    schema = make_schema("binary")
    shard = make_shard(schema, [30, 30])
    weights = np.ones(60)
    weights[40 if weight else slice(30, 60)] = weight
    fitted = make_family("tree", schema, {}).fit(replace(shard, weights=weights))
    assert fitted.failures == {"e1": reason}
    assert fitted.models["entity"].to_pylist() == ["e0"]


def test_a_class_the_target_has_not_is_an_error_of_the_spec(make_schema, make_shard):
    schema = make_schema("binary")
    family = make_family("tree", schema, {"class_weight": {"yess": 2}})
    with pytest.raises(SpecError, match="no class 'yess'; did you mean 'yes'"):
        family.fit(make_shard(schema, [30]))


def test_numbers_have_no_classes_to_weigh(make_schema):
    with pytest.raises(SpecError, match="task is regression"):
        make_family("tree", make_schema("regression"), {"class_weight": "balanced"})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.inf, "1 of its 30 training targets are not finite numbers"),
        (-1e200, "1 of its 30 training targets are beyond 1e+150 in size"),
    ],
)
def test_a_target_that_cannot_be_used_is_a_failure(make_schema, make_shard, value, reason):
    schema = make_schema("regression")
    shard = make_shard(schema, [30, 30])
    shard.target[5] = value
    fitted = make_family("tree", schema, {}).fit(shard)
    assert fitted.failures == {"e0": reason}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_dept": 3}, "did you mean 'max_depth'"),
        ({"max_depth": 0}, "max_depth: is 0"),
        ({"min_samples_leaf": "many"}, "min_samples_leaf: is 'many'"),
        ({"class_weight": "even"}, "class_weight: is 'even'"),
        ({"class_weight": {"yes": -1}}, "class_weight: is -1"),
    ],
)
def test_wrong_parameters(make_schema, parameters, message):
    with pytest.raises(SpecError, match=message):
        make_family("tree", make_schema("binary"), parameters)


def replaced(models, name, change):
    """Return the table with one column's values changed, its lists as long as before."""
    column = models[name].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False).copy()
    change(values)
    array = pa.ListArray.from_arrays(column.offsets, pa.array(values, column.type.value_type))
    return models.set_column(models.column_names.index(name), name, array)


def without_last(models, name):
    """Return the table with the last item of each list of some columns gone."""
    lists = pa.array([value[:-1] for value in models[name].to_pylist()], models[name].type)
    return models.set_column(models.column_names.index(name), name, lists)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("feature", 5),  # there are two categories and three numbers: 0 to 4
        ("feature", -2),
        ("threshold", np.nan),
        ("threshold", -1.0),
        ("threshold", 99.0),
        ("threshold", 0.5),
        ("value", np.nan),
        ("value", 1.5),
        ("value", -0.1),
    ],
)
def test_nodes_that_test_or_say_what_cannot_be_are_refused(make_schema, make_shard, name, value):
    schema = make_schema("binary", numbers=0) if name == "threshold" else make_schema("binary")
    family = make_family("tree", schema, {})
    models = family.fit(make_shard(schema, [60, 60])).models

    def change(values):
        values[-1 if name != "feature" else np.flatnonzero(values >= 0)[-1]] = value

    with pytest.raises(BundleError, match="entity 'e1' do not form a tree"):
        family.load(replaced(models, name, change))


def test_leaves_and_inner_nodes_that_form_no_tree_are_refused(make_schema):
    schema = make_schema("regression", levels=(), numbers=1)
    family = make_family("tree", schema, {})

    def load(*trees):
        lists = {
            "feature": (pa.int16(), list),
            "threshold": (pa.float64(), lambda tree: [0.0] * tree.count(0)),
            "missing_left": (pa.bool_(), lambda tree: [True] * tree.count(0)),
            "value": (pa.float64(), lambda tree: [1.0] * tree.count(-1)),
        }
        columns = {
            name: pa.array([make(tree) for tree in trees], pa.list_(kind)) for name, (kind, make) in lists.items()
        }
        return family.load(pa.table({"entity": pa.array([f"e{i}" for i in range(len(trees))]), **columns}))

    load([-1], [0, -1, -1], [0, 0, -1, -1, -1], [0, -1, 0, -1, -1])
    for broken in ([], [0], [0, -1], [-1, -1], [0, -1, -1, -1], [-1, 0, -1, -1], [0, 0, -1, -1], [-1, 0, -1]):
        with pytest.raises(BundleError, match="entity 'e1' do not form a tree"):
            load([0, -1, -1], broken, [-1])


@pytest.mark.parametrize("name", ["threshold", "missing_left", "value"])
def test_lists_of_different_lengths_are_refused(make_schema, make_shard, name):
    schema = make_schema("binary")
    family = make_family("tree", schema, {})
    models = family.fit(make_shard(schema, [60, 70])).models
    with pytest.raises(BundleError, match=f"column '{name}' does not hold"):
        family.load(without_last(models, name))
