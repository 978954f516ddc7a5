from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from modelfleet.data.encoded import EncodedRows
from modelfleet.errors import BundleError, SpecError
from modelfleet.families.catalog import make_family
from modelfleet.families.design import Layout
from modelfleet.families.growing import Grower, Grown
from modelfleet.families.kernels import compiled
from modelfleet.spec.fleet import Task


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


def same(one: Grown, other: Grown) -> bool:
    names = ("feature", "threshold", "left", "right", "missing_left", "value")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in names)


@pytest.mark.parametrize("seed", range(8))
def test_the_compiled_kernel_grows_scikit_learns_trees_node_for_node(seed):
    """300 fits over sizes, depths, leaf sizes, ties, constants and unseen codes."""
    assert compiled.cart() is not None
    rng = np.random.default_rng(seed)
    for _ in range(40):
        levels = rng.integers(1, 9, rng.integers(0, 5))
        numbers = int(rng.integers(0 if len(levels) else 1, 4))
        n = int(rng.integers(1, 250))
        codes = np.stack([rng.integers(-1, k + 1, n) for k in levels] or [np.zeros(n)], axis=1).astype(np.int32)
        codes = codes[:, : len(levels)]
        values = np.round(rng.normal(size=(n, numbers)) * 10.0 ** rng.integers(-3, 6), int(rng.integers(0, 4)))
        if numbers and rng.random() < 0.2:
            values[:, 0] = 7.0
        rows = EncodedRows(codes, values)
        target = (rng.random(n) < rng.random()).astype(np.float64)
        layout = Layout(np.concatenate([[0], np.cumsum(levels + 1)]).astype(np.int64), numbers)
        depth = None if rng.random() < 0.5 else int(rng.integers(1, 7))
        grower = Grower(layout, Task.BINARY, 2, depth, int(rng.integers(1, 8)), int(rng.integers(0, 1000)))
        half = n // 2
        together = grower.by_kernel(np.array([0, half, n]) if half else np.array([0, n]), rows, target)
        slices = [slice(0, half), slice(half, n)] if half else [slice(0, n)]
        for tree, part in zip(together, slices, strict=True):
            assert same(tree, grower.by_sklearn(rows.take(part), target[part], None))


def test_without_numba_the_models_are_the_same(make_schema, make_shard, monkeypatch):
    schema = make_schema("binary")
    shard = make_shard(schema, [50, 120])
    family = make_family("tree", schema, {})
    by_kernel = family.fit(shard).models
    monkeypatch.setattr(compiled, "cart", lambda: None)
    assert family.fit(shard).models.equals(by_kernel)


def test_a_target_that_is_no_number_is_a_failure(make_schema, make_shard):
    schema = make_schema("regression")
    shard = make_shard(schema, [30, 30])
    shard.target[5] = np.inf
    fitted = make_family("tree", schema, {}).fit(shard)
    assert fitted.failures == {"e0": "1 of its 30 training targets are not finite numbers"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_dept": 3}, "did you mean 'max_depth'"),
        ({"max_depth": 0}, "max_depth: is 0"),
        ({"min_samples_leaf": "many"}, "min_samples_leaf: is 'many'"),
        ({"class_weight": "even"}, "class_weight: is 'even'"),
    ],
)
def test_wrong_parameters(make_schema, parameters, message):
    with pytest.raises(SpecError, match=message):
        make_family("tree", make_schema("binary"), parameters)


def replaced(models, name, change):
    column = models[name].combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False).copy()
    change(values)
    array = pa.ListArray.from_arrays(column.offsets, pa.array(values, column.type.value_type))
    return models.set_column(models.column_names.index(name), name, array)


@pytest.mark.parametrize(
    ("name", "value"), [("left", 0), ("left", -5), ("left", 10_000), ("right", 0), ("feature", 99), ("value", np.nan)]
)
def test_nodes_that_form_no_tree_are_refused(make_schema, make_shard, name, value):
    schema = make_schema("binary")
    family = make_family("tree", schema, {})
    models = family.fit(make_shard(schema, [60])).models

    def change(values):
        values[0] = value

    with pytest.raises(BundleError, match="entity 'e0' do not form a tree"):
        family.load(replaced(models, name, change))


def test_lists_of_different_lengths_are_refused(make_schema, make_shard):
    schema = make_schema("binary")
    family = make_family("tree", schema, {})
    models = family.fit(make_shard(schema, [60, 70])).models
    swapped = models.set_column(1, "feature", models["feature"].take(pa.array([1, 0])))
    with pytest.raises(BundleError, match="does not hold"):
        family.load(swapped)
