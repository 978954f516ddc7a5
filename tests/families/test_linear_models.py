"""`logistic` and `linear` against scikit-learn on the same columns."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelfleet.data.encoded import EncodedRows
from modelfleet.errors import SpecError
from modelfleet.families import linear, logistic_solver, newton
from modelfleet.families.base import TrainingShard
from modelfleet.families.catalog import make_family
from modelfleet.families.design import Layout
from modelfleet.families.kernels import newton_compiled
from modelfleet.families.logistic_solver import LogisticSolver
from modelfleet.families.shard_design import ShardDesign


def columns_of(rows):
    """Return a function from rows to scikit-learn's columns, learnt from these rows: one-hot, mean-filled, scaled."""
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(rows.codes)
    mean = np.nanmean(rows.numbers, axis=0)
    scaler = StandardScaler().fit(rows.numbers)

    def dense(some):
        numbers = np.where(np.isnan(some.numbers), mean, some.numbers)
        return np.hstack([encoder.transform(some.codes), scaler.transform(numbers)])

    return dense


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("task", "strength", "balance"), [("binary", 1.0, None), ("binary", 20.0, "balanced"), ("multiclass", 1.0, None)]
)
def test_logistic_is_scikit_learns_solved_tightly(make_schema, make_shard, make_rows, task, strength, balance, missing):
    schema = make_schema(task)
    shard = make_shard(schema, [150, 300], missing=missing)
    family = make_family("logistic", schema, {"C": strength, "class_weight": balance})
    predictor = family.load(family.fit(shard).models)
    unseen = make_rows(schema, 300, np.random.default_rng(1), missing=missing, unseen=0.1)
    for which, part in enumerate((slice(0, 150), slice(150, 450))):
        rows = shard.rows.take(part)
        dense = columns_of(rows)
        theirs = LogisticRegression(C=strength, class_weight=balance, solver="newton-cholesky", tol=1e-12, max_iter=500)
        expected = theirs.fit(dense(rows), shard.target[part]).predict_proba(dense(unseen))
        found = predictor.predict(unseen, np.full(300, which, dtype=np.int32))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_two_of_three_classes_are_a_binary_problem(make_schema, make_shard):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [200])
    shard.target[shard.target == 1] = 0.0
    family = make_family("logistic", schema, {})
    dense = columns_of(shard.rows)
    theirs = LogisticRegression(solver="newton-cholesky", tol=1e-12).fit(dense(shard.rows), shard.target)
    found = family.load(family.fit(shard).models).predict(shard.rows, np.zeros(200, dtype=np.int32))
    np.testing.assert_allclose(found[:, [0, 2]], theirs.predict_proba(dense(shard.rows)), rtol=0, atol=1e-7)
    assert (found[:, 1] == 0).all()


def test_the_large_problem_solver_agrees_with_newton(make_schema, make_shard, monkeypatch):
    schema = make_schema("multiclass")
    shard = make_shard(schema, [200])
    family = make_family("logistic", schema, {})
    by_newton = family.load(family.fit(shard).models)
    monkeypatch.setattr(newton, "LARGEST_HESSIAN", 1)
    monkeypatch.setattr(logistic_solver, "LARGEST_HESSIAN", 1)
    fitted = family.fit(shard)
    assert fitted.failures == {}
    model = np.zeros(200, dtype=np.int32)
    found = family.load(fitted.models).predict(shard.rows, model)
    np.testing.assert_allclose(found, by_newton.predict(shard.rows, model), rtol=0, atol=1e-4)


def test_many_small_problems_all_converge(make_schema, make_shard):
    schema = make_schema("binary")
    sizes = np.random.default_rng(0).integers(2, 60, 300)
    fitted = make_family("logistic", schema, {"C": 100.0}).fit(make_shard(schema, sizes, missing=0.1))
    assert all("two classes" in reason for reason in fitted.failures.values())
    assert fitted.models.num_rows + len(fitted.failures) == 300


def test_one_class_says_which(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [30])
    shard.target[:] = 0.0
    fitted = make_family("logistic", schema, {}).fit(shard)
    assert fitted.failures == {"e0": "all 30 training rows are of class 'no'; logistic regression needs two classes"}


def test_not_converging_is_a_failure(make_schema, make_shard):
    schema = make_schema("binary")
    fitted = make_family("logistic", schema, {"max_iterations": 1}).fit(make_shard(schema, [100]))
    assert "did not converge in 1 steps on 100 training rows" in fitted.failures["e0"]


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_linear_is_scikit_learns_ridge(make_schema, make_shard, make_rows, missing):
    schema = make_schema("regression")
    shard = make_shard(schema, [150, 300], missing=missing)
    family = make_family("linear", schema, {"alpha": 3.0})
    predictor = family.load(family.fit(shard).models)
    unseen = make_rows(schema, 300, np.random.default_rng(1), missing=missing, unseen=0.1)
    for which, part in enumerate((slice(0, 150), slice(150, 450))):
        rows = shard.rows.take(part)
        dense = columns_of(rows)
        expected = Ridge(alpha=3.0).fit(dense(rows), shard.target[part]).predict(dense(unseen))
        found = predictor.predict(unseen, np.full(300, which, dtype=np.int32))
        np.testing.assert_allclose(found[:, 0], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("family", "task", "parameters", "message"),
    [
        ("logistic", "binary", {"c": 1.0}, "has no 'c'"),
        ("logistic", "binary", {"C": -1}, "C: is -1"),
        ("logistic", "regression", {}, "does binary, multiclass"),
        ("linear", "regression", {"alpa": 1}, "did you mean 'alpha'"),
        ("linear", "regression", {"alpha": 0}, "alpha: is 0"),
        ("linear", "binary", {}, "does regression"),
    ],
)
def test_wrong_parameters(make_schema, family, task, parameters, message):
    with pytest.raises(SpecError, match=message):
        make_family(family, make_schema(task), parameters)


@pytest.fixture
def by_numpy(monkeypatch):
    """Return a function that fits without the compiled kernels."""

    def fit(family, shard):
        with monkeypatch.context() as patch:
            patch.setattr(logistic_solver, "linear_kernel", lambda name: None)
            patch.setattr(linear, "linear_kernel", lambda name: None)
            return family.fit(shard)

    return fit


def test_the_kernels_are_compiled_here():
    assert all(newton_compiled.linear_kernel(name) is not None for name in ("binary", "multinomial", "ridge"))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("family", "task", "parameters"),
    [
        ("logistic", "binary", {"C": 3.0}),
        ("logistic", "binary", {"C": 1e4, "class_weight": "balanced"}),
        ("logistic", "multiclass", {"C": 0.3}),
        ("logistic", "multiclass", {"C": 1e3, "class_weight": "balanced"}),
        ("linear", "regression", {"alpha": 0.5}),
        ("linear", "regression", {"alpha": 1e-3}),
    ],
)
def test_without_numba_the_models_are_the_same(
    make_schema, make_shard, make_rows, by_numpy, family, task, parameters, weighted
):
    schema = make_schema(task, levels=(4, 9, 2))
    sizes = [3, 17, 40, 1, 150, 0, 60]
    shard = make_shard(schema, sizes, seed=3, missing=0.1)
    shard.rows.codes[::9, 1] = -1
    shard.rows.numbers[:60, 1] = 7.0
    if weighted:
        weights = np.round(np.random.default_rng(5).uniform(0, 3, len(shard.target)), 1)
        shard = replace(shard, weights=weights)
    made = make_family(family, schema, parameters)
    ours, theirs = made.fit(shard), by_numpy(made, shard)
    assert ours.failures == theirs.failures
    for name in ("mean", "scale", "coefficients", "intercept"):
        one, other = (np.array(fitted.models[name].to_pylist(), dtype=float) for fitted in (ours, theirs))
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-8)
    rows = make_rows(schema, 200, np.random.default_rng(1), missing=0.1, unseen=0.1)
    model = (np.arange(200) % ours.models.num_rows).astype(np.int32)
    one, other = (made.load(fitted.models).predict(rows, model) for fitted in (ours, theirs))
    np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    classes=st.integers(2, 5),
    levels=st.lists(st.integers(1, 12), max_size=4),
    numbers=st.integers(0, 4),
    rows=st.integers(6, 150),
    strength=st.sampled_from([1e-3, 1.0, 100.0]),
)
def test_any_problem_is_solved_as_scikit_learn_solves_it(seed, classes, levels, numbers, rows, strength):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(-1, k + 1, rows) for k in levels] or [np.zeros(rows)], axis=1).astype(np.int32)
    codes = codes[:, : len(levels)]
    values = rng.normal(size=(rows, numbers)) * 10.0 ** rng.integers(-3, 6)
    target = np.concatenate([np.arange(classes), rng.integers(0, classes, rows - classes)]).astype(float)
    weights = rng.uniform(0.1, 2.0, rows)
    layout = Layout(np.concatenate([[0], np.cumsum(np.array(levels, dtype=int) + 1)]).astype(np.int64), numbers)
    shard = TrainingShard(("e",), np.array([0, rows]), EncodedRows(codes, values), target, weights)
    design = ShardDesign.of(layout, shard)
    solver = LogisticSolver(1.0 / strength, 100, 1 if classes == 2 else classes)
    solved, converged = solver.solve(
        design, target.astype(np.int64), np.ones((1, classes), dtype=bool), np.zeros(1, dtype=np.int64)
    )
    assert converged.all()
    columns, at = design.dense(0)
    scores = columns @ solved[0][:, at].T
    found = special.softmax(np.hstack([np.zeros((rows, 1)), scores]) if classes == 2 else scores, axis=1)
    # scikit-learn takes no empty table
    dense = np.hstack([columns[:, :-1], np.zeros((rows, 1))])
    theirs = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-12, max_iter=500)
    expected = theirs.fit(dense, target, sample_weight=weights).predict_proba(dense)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("strength", [1.0, 1e6])
def test_classes_that_can_be_told_apart_converge(make_schema, make_shard, task, strength):
    schema = make_schema(task)
    shard = make_shard(schema, [60, 200])
    shard.rows.numbers[:, 0] = 100.0 * shard.target
    family = make_family("logistic", schema, {"C": strength})
    fitted = family.fit(shard)
    assert fitted.failures == {}
    values = family.load(fitted.models).predict(shard.rows, np.repeat([0, 1], [60, 200]).astype(np.int32))
    assert (values.argmax(axis=1) == shard.target).all()


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_balanced_classes_count_rows_by_their_weights(make_schema, make_shard, task):
    schema = make_schema(task)
    shard = make_shard(schema, [200])
    weights = np.random.default_rng(0).uniform(0.1, 5.0, 200)
    family = make_family("logistic", schema, {"class_weight": "balanced"})
    fitted = family.fit(replace(shard, weights=weights))
    theirs = LogisticRegression(class_weight="balanced", solver="newton-cholesky", tol=1e-12)
    dense = columns_of(shard.rows)(shard.rows)
    expected = theirs.fit(dense, shard.target, sample_weight=weights).predict_proba(dense)
    found = family.load(fitted.models).predict(shard.rows, np.zeros(200, dtype=np.int32))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_rows_without_weight_have_no_class(make_schema, make_shard):
    schema = make_schema("binary")
    shard = make_shard(schema, [40, 40])
    weights = np.ones(80)
    weights[:40][shard.target[:40] == 0] = 0.0
    fitted = make_family("logistic", schema, {}).fit(replace(shard, weights=weights))
    assert fitted.failures == {
        "e0": "all 40 training rows of weight above zero are of class 'yes'; logistic regression needs two classes"
    }
    fitted = make_family("logistic", schema, {}).fit(replace(shard, weights=np.zeros(80)))
    assert fitted.failures["e1"] == "the weights of its 40 training rows are all zero"


def test_a_large_entity_is_solved_beside_small_ones(make_schema, make_shard):
    schema = make_schema("multiclass", levels=(40, 6))
    shard = make_shard(schema, [30, 90_000, 30])
    family = make_family("logistic", schema, {})
    fitted = family.fit(shard)
    assert fitted.failures == {}
    rows, target = shard.rows.take(slice(30, 90_030)), shard.target[30:90_030]
    dense = columns_of(rows)
    theirs = LogisticRegression(solver="newton-cholesky", tol=1e-10).fit(dense(rows), target)
    few = rows.take(slice(0, 500))
    found = family.load(fitted.models).predict(few, np.ones(500, dtype=np.int32))
    np.testing.assert_allclose(found, theirs.predict_proba(dense(few)), rtol=0, atol=1e-7)


def test_levels_too_many_for_a_matrix_are_solved(make_schema, make_shard, monkeypatch):
    schema = make_schema("binary", levels=(30, 30))
    shard = make_shard(schema, [150, 20])
    family = make_family("logistic", schema, {})
    expected = family.load(family.fit(shard).models)
    monkeypatch.setattr(logistic_solver, "LARGEST_HESSIAN", 40)
    monkeypatch.setattr(newton, "LARGEST_HESSIAN", 40)
    fitted = family.fit(shard)
    assert fitted.failures == {}
    model = np.repeat([0, 1], [150, 20]).astype(np.int32)
    found = family.load(fitted.models).predict(shard.rows, model)
    np.testing.assert_allclose(found, expected.predict(shard.rows, model), rtol=0, atol=1e-5)


def test_a_ridge_without_much_penalty_is_the_least_squares_of_least_size(make_schema, make_shard, by_numpy):
    schema = make_schema("regression")
    shard = make_shard(schema, [80])
    family = make_family("linear", schema, {"alpha": 1e-12})
    model = np.zeros(80, dtype=np.int32)
    dense = columns_of(shard.rows)(shard.rows)
    expected = LinearRegression().fit(dense, shard.target).predict(dense)
    for fitted in (family.fit(shard), by_numpy(family, shard)):
        found = family.load(fitted.models).predict(shard.rows, model)[:, 0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_a_target_far_from_zero_loses_no_digits(make_schema, make_shard):
    schema = make_schema("regression")
    shard = make_shard(schema, [80])
    family = make_family("linear", schema, {})
    near = family.load(family.fit(shard).models).predict(shard.rows, np.zeros(80, dtype=np.int32))
    moved = replace(shard, target=shard.target + 1e9)
    far = family.load(family.fit(moved).models).predict(shard.rows, np.zeros(80, dtype=np.int32))
    np.testing.assert_allclose(far - 1e9, near, rtol=0, atol=1e-5)


def test_where_numba_is_absent_there_is_no_kernel(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    newton_compiled._replaced.cache_clear()
    newton_compiled._kernel.cache_clear()
    assert newton_compiled.linear_kernel("binary") is None
    newton_compiled._kernel.cache_clear()
    newton_compiled._replaced.cache_clear()
