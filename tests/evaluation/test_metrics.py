"""Every metric equals scikit-learn's where scikit-learn defines it, and is NaN elsewhere."""

from __future__ import annotations

import warnings
from unittest.mock import patch

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from modelfleet.evaluation import ranking
from modelfleet.evaluation.metrics import metric_names, metrics_by_segment, metrics_of_each
from modelfleet.evaluation.undefined import Undefined, undefined_text, why_undefined
from modelfleet.spec.evaluation import EvaluationSpec
from modelfleet.spec.fleet import Task


def _scores(classes: int) -> st.SearchStrategy[list[float]]:
    # quarters make ties and exact zeros and ones common
    coarse = st.lists(st.integers(0, 4), min_size=classes, max_size=classes).filter(any)
    fine = st.lists(st.floats(1e-6, 1), min_size=classes, max_size=classes)
    return (coarse | fine).map(lambda values: list(np.array(values) / np.sum(values)))


@st.composite
def classified(draw: st.DrawFn, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    n = draw(st.integers(0, 40))
    segments = draw(st.integers(1, 4))
    segment = np.array(draw(st.lists(st.integers(0, segments - 1), min_size=n, max_size=n)), dtype=np.int64)
    truth = np.array(draw(st.lists(st.integers(0, classes - 1), min_size=n, max_size=n)), dtype=float)
    rows = draw(st.lists(_scores(classes), min_size=n, max_size=n))
    return np.array(rows, dtype=float).reshape(n, classes), truth, segment, segments


def _expected(classes: int, p: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """Metrics by scikit-learn, one segment; NaN where it calls them undefined."""
    labels = list(range(classes))
    if not len(y):
        return dict.fromkeys(metric_names(Task.BINARY), np.nan)
    truth, guess = y.astype(int), p.argmax(axis=1)
    average, zero = ("binary", np.nan) if classes == 2 else ("macro", 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = len(set(truth)) == classes
        if classes == 2:
            auc = sk.roc_auc_score(truth, p[:, 1]) if whole else np.nan
        else:
            auc = sk.roc_auc_score(truth, p, multi_class="ovr", labels=labels) if whole else np.nan
        return {
            "accuracy": sk.accuracy_score(truth, guess),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, guess),
            "f1": sk.f1_score(truth, guess, average=average, zero_division=zero),
            "recall": sk.recall_score(truth, guess, average=average, zero_division=zero),
            "precision": sk.precision_score(truth, guess, average=average, zero_division=zero),
            "roc_auc": auc,
            "log_loss": sk.log_loss(truth, p, labels=labels),
            "brier": sk.brier_score_loss(truth, p if classes > 2 else p[:, 1], labels=labels),
            "calibration_error": _calibration_error(
                *((p[:, 1], truth) if classes == 2 else (p.max(axis=1), truth == guess))
            ),
        }


def _calibration_error(probability: np.ndarray, outcome: np.ndarray, bins: int = 10) -> float:
    """The gaps of scikit-learn's calibration curve, weighted by the rows of each bin."""
    probability = np.clip(probability, 0, 1)  # rounding of the scores made here may leave it
    true, said = calibration_curve(outcome, probability, n_bins=bins)
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)
    rows = np.bincount(place, minlength=bins)
    return float((rows[rows > 0] * np.abs(true - said)).sum() / len(outcome))


@pytest.mark.parametrize("classes", [2, 3, 5])
@settings(max_examples=100)
@given(data=st.data())
def test_classification_equals_scikit_learn(classes: int, data: st.DataObject) -> None:
    p, y, segment, size = data.draw(classified(classes))
    task = Task.BINARY if classes == 2 else Task.MULTICLASS
    found = metrics_by_segment(task, p, y, segment, size)
    assert tuple(found) == metric_names(task)
    for s in range(size):
        for name, expected in _expected(classes, p[segment == s], y[segment == s]).items():
            np.testing.assert_allclose(found[name][s], expected, rtol=1e-9, atol=1e-12, err_msg=f"{name} of {s}")


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-50, 50), st.floats(-50, 50)), max_size=30))
def test_regression_equals_scikit_learn(rows: list[tuple[int, float, float]]) -> None:
    segment = np.array([r[0] for r in rows], dtype=np.int64)
    y, p = np.array([r[1] for r in rows], dtype=float), np.array([r[2] for r in rows], dtype=float)
    found = metrics_by_segment(Task.REGRESSION, p[:, None], y, segment, 3, EvaluationSpec(quantile=0.9))
    for s in range(3):
        own = segment == s
        if not own.any():
            assert all(np.isnan(found[name][s]) for name in found)
            continue
        np.testing.assert_allclose(found["mae"][s], sk.mean_absolute_error(y[own], p[own]), rtol=1e-9, atol=1e-12)
        pinball = sk.mean_pinball_loss(y[own], p[own], alpha=0.9)
        np.testing.assert_allclose(found["pinball"][s], pinball, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found["rmse"][s], sk.root_mean_squared_error(y[own], p[own]), rtol=1e-9, atol=1e-12)
        if np.ptp(y[own]) == 0:
            assert np.isnan(found["r2"][s])
        elif np.ptp(y[own]) > 1e-6:  # below, both are rounding errors divided by rounding errors
            np.testing.assert_allclose(found["r2"][s], sk.r2_score(y[own], p[own]), rtol=1e-6, atol=1e-9)


@settings(max_examples=50)
@given(data=st.data())
def test_several_at_once_are_what_each_is_alone(data: st.DataObject) -> None:
    p, y, segment, size = data.draw(classified(3))
    predictions = {"one": p, "other": p[::-1].copy(), "none": np.full_like(p, np.nan)}
    found = metrics_of_each(Task.MULTICLASS, predictions, y, segment, size)
    with patch("modelfleet.evaluation.metrics.TOGETHER", -1):
        in_turn = metrics_of_each(Task.MULTICLASS, predictions, y, segment, size)
    assert list(found) == list(in_turn) == list(predictions)
    for who, prediction in predictions.items():
        alone = metrics_by_segment(Task.MULTICLASS, prediction, y, segment, size)
        for name, values in alone.items():
            np.testing.assert_array_equal(found[who][name], values, err_msg=f"{name} of {who}")
            np.testing.assert_array_equal(in_turn[who][name], values, err_msg=f"{name} of {who} in turn")


def test_one_class_leaves_auc_undefined_and_the_rest_defined() -> None:
    p = np.array([[0.2, 0.8], [0.6, 0.4]])
    found = metrics_by_segment(Task.BINARY, p, np.zeros(2), np.zeros(2, dtype=np.int64), 1)
    assert np.isnan(found["roc_auc"][0]) and np.isnan(found["recall"][0])
    assert found["accuracy"][0] == 0.5 and found["precision"][0] == 0.0


def test_a_row_without_prediction_undefines_its_segment_only() -> None:
    p = np.array([[np.nan, np.nan], [0.1, 0.9], [0.3, 0.7], [0.9, 0.1]])
    found = metrics_by_segment(Task.BINARY, p, np.array([0.0, 1, 1, 0]), np.array([0, 0, 1, 1]), 2)
    assert all(np.isnan(values[0]) for values in found.values())
    assert found["accuracy"][1] == 1.0 and found["roc_auc"][1] == 1.0


def test_all_scores_tied_is_chance() -> None:
    p = np.full((6, 2), 0.5)
    found = metrics_by_segment(Task.BINARY, p, np.array([0.0, 1, 0, 1, 1, 1]), np.zeros(6, dtype=np.int64), 1)
    assert found["roc_auc"][0] == 0.5


@settings(max_examples=200)
@given(data=st.data())
def test_ranks_are_the_same_bits_with_and_without_numba(data: st.DataObject) -> None:
    p, y, segment, size = data.draw(classified(2))
    compiled = ranking.area_under_curve(p[:, 1], y == 1, segment, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "_compiled", lambda: None)
        plain = ranking.area_under_curve(p[:, 1], y == 1, segment, size)
    np.testing.assert_array_equal(compiled, plain)


def test_numba_is_in_use_here() -> None:
    assert ranking._compiled() is not None


@settings(max_examples=100)
@given(data=st.data(), task=st.sampled_from(list(Task)))
def test_every_nan_has_a_reason_and_nothing_else_has(data: st.DataObject, task: Task) -> None:
    p, y, segment, size = data.draw(classified(2 if task is Task.BINARY else 3))
    p = p[:, :1] if task is Task.REGRESSION else p
    p[data.draw(st.lists(st.booleans(), min_size=len(p), max_size=len(p)))] = np.nan
    found = metrics_by_segment(task, p, y, segment, size)
    why = why_undefined(task, found, p, segment, size)
    for name, values in found.items():
        for s in range(size):
            assert np.isnan(values[s]) == (why[name][s] is not None)
            own = segment == s
            if not own.any():
                assert why[name][s] is Undefined.NO_ROWS
            elif np.isnan(p[own]).any():
                assert why[name][s] is Undefined.NO_PREDICTION
            else:
                assert why[name][s] not in (Undefined.NO_ROWS, Undefined.NO_PREDICTION)
    texts = undefined_text(task, found, p, segment, size).to_pylist()
    assert [text is None for text in texts] == [all(why[name][s] is None for name in found) for s in range(size)]


def test_reasons_are_told_in_one_text() -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [np.nan, np.nan]])
    y, segment = np.array([0.0, 0, 1, 0]), np.array([0, 0, 1, 2])
    found = metrics_by_segment(Task.BINARY, p, y, segment, 4)
    assert undefined_text(Task.BINARY, found, p, segment, 4).to_pylist() == [
        "f1: no_positive, precision: none_predicted, recall: no_positive, roc_auc: class_absent",
        "roc_auc: class_absent",
        "no_prediction",
        "no_rows",
    ]
    numbers = np.array([[1.0], [2.0], [2.0]])
    target, segment = np.array([3.0, 5, 5]), np.array([0, 1, 1])
    found = metrics_by_segment(Task.REGRESSION, numbers, target, segment, 2)
    texts = undefined_text(Task.REGRESSION, found, numbers, segment, 2).to_pylist()
    assert texts == ["r2: one_row", "r2: constant_target"]
    assert undefined_text(Task.REGRESSION, {"mae": found["mae"]}, numbers, segment, 2).to_pylist() == [None, None]


def test_a_sure_model_that_errs_is_badly_calibrated() -> None:
    p = np.array([[0.0, 1.0]] * 4)
    found = metrics_by_segment(Task.BINARY, p, np.array([1.0, 1, 1, 0]), np.zeros(4, dtype=np.int64), 1)
    assert found["calibration_error"][0] == pytest.approx(0.25)
