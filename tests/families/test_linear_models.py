"""`logistic` and `linear` against scikit-learn on the same columns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from modelfleet.errors import SpecError
from modelfleet.families import newton
from modelfleet.families.catalog import make_family


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
