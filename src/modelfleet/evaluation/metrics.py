"""Metrics of many entities at once: scikit-learn's values where defined, NaN elsewhere.

Undefined, hence NaN (``undefined.py`` says why for each): everything without rows or with a row that has no
prediction; ROC AUC unless every class is among the rows; binary recall without a positive row, precision without a
positive prediction, F1 without either; R2 of fewer than two rows or of a constant target. Macro averages follow
scikit-learn's default: over the classes seen in the truth or the predictions, a class whose own value is undefined
counting as 0.

``calibration_error`` is the expected calibration error over B bins of equal width (Naeini, Cooper and Hauskrecht 2015):

    sum over bins b of (n_b / n) * |mean outcome in b - mean probability in b|

with bins (0, 1/B], (1/B, 2/B], ...; 0 belongs to the first. The probability is the positive class's for two classes,
and the outcome whether the row is of it; for more it is the largest one, and the outcome whether it is right.

``pinball`` is the mean of max(q * (y - p), (q - 1) * (y - p)) (Koenker and Bassett 1978).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.evaluation.losses import row_losses
from modelfleet.evaluation.ranking import area_under_curve
from modelfleet.evaluation.ratio import ratio
from modelfleet.spec.evaluation import EvaluationSpec
from modelfleet.spec.fleet import Task
from modelfleet.spec.gate import CLASSIFICATION_METRICS, REGRESSION_METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

DEFAULT = EvaluationSpec()

TOGETHER = 1 << 14
"""Most rows of which several predictions are measured in one go."""


def metric_names(task: Task) -> tuple[str, ...]:
    """Return the names of the metrics of a task, in the order of the evaluation table."""
    return REGRESSION_METRICS if task is Task.REGRESSION else CLASSIFICATION_METRICS


def metrics_by_segment(
    task: Task,
    prediction: NDArray[np.float64],
    target: NDArray[np.float64],
    segment: NDArray[np.int64],
    n_segments: int,
    options: EvaluationSpec = DEFAULT,
) -> dict[str, NDArray[np.float64]]:
    """Measure every segment.

    Args:
        task: What is predicted. For ``binary`` class 1 is the positive one.
        prediction: (n, number of classes) probabilities, or (n, 1) numbers; a NaN row means "no prediction".
        target: (n,) class index, or number.
        segment: (n,) segment of each row, in [0, n_segments); any order.
        n_segments: Number of segments; one may have no rows.
        options: How many bins, which quantile.

    Returns:
        For each of ``metric_names(task)``, (n_segments,) float64.
    """
    missing = np.isnan(prediction).any(axis=1)
    broken = np.bincount(segment, weights=missing, minlength=n_segments) > 0
    found = (
        _regression(prediction[:, 0], target, segment, n_segments, options.quantile)
        if task is Task.REGRESSION
        else _classification(prediction, target.astype(np.int64), segment, n_segments, options.calibration_bins)
    )
    return {name: np.where(broken, np.nan, found[name]) for name in metric_names(task)}


def metrics_of_each(
    task: Task,
    predictions: Mapping[str, NDArray[np.float64]],
    target: NDArray[np.float64],
    segment: NDArray[np.int64],
    n_segments: int,
    options: EvaluationSpec = DEFAULT,
) -> dict[str, dict[str, NDArray[np.float64]]]:
    """Measure several predictions of the same rows; few rows all in one go, since their cost is that of the calls.

    Args:
        task: What is predicted.
        predictions: By name, what ``metrics_by_segment`` takes; at least one.
        target: As there; likewise the next three.
        segment: Of each row.
        n_segments: Number of segments.
        options: How many bins, which quantile.

    Returns:
        By name, what ``metrics_by_segment`` returns for it.
    """
    if len(segment) > TOGETHER:  # here it is that of the work, and one after the other they take a part of the memory
        return {
            name: metrics_by_segment(task, each, target, segment, n_segments, options)
            for name, each in predictions.items()
        }
    count = len(predictions)
    own = np.repeat(np.arange(count, dtype=np.int64), len(segment)) * n_segments
    found = metrics_by_segment(
        task,
        np.concatenate([*predictions.values()]),
        np.tile(target, count),
        np.tile(segment, count) + own,
        count * n_segments,
        options,
    )
    return {
        name: {metric: values.reshape(count, n_segments)[place] for metric, values in found.items()}
        for place, name in enumerate(predictions)
    }


def _regression(
    prediction: NDArray[np.float64],
    target: NDArray[np.float64],
    segment: NDArray[np.int64],
    size: int,
    quantile: float,
) -> dict[str, NDArray[np.float64]]:
    rows = np.bincount(segment, minlength=size).astype(np.float64)
    error = prediction - target
    residual = np.bincount(segment, weights=error**2, minlength=size)
    mean = ratio(np.bincount(segment, weights=target, minlength=size), rows)
    spread = np.bincount(segment, weights=(target - mean[segment]) ** 2, minlength=size)
    # a constant target whose mean was rounded has a spread that is not quite 0
    low, high = np.full(size, np.inf), np.full(size, -np.inf)
    np.minimum.at(low, segment, target)
    np.maximum.at(high, segment, target)
    return {
        "mae": ratio(np.bincount(segment, weights=np.abs(error), minlength=size), rows),
        "rmse": np.sqrt(ratio(residual, rows)),
        "r2": 1.0 - ratio(residual, np.where(low < high, spread, 0.0)),
        "pinball": ratio(
            np.bincount(segment, weights=np.maximum(-quantile * error, (1.0 - quantile) * error), minlength=size), rows
        ),
    }


def _classification(
    prediction: NDArray[np.float64],
    truth: NDArray[np.int64],
    segment: NDArray[np.int64],
    size: int,
    bins: int,
) -> dict[str, NDArray[np.float64]]:
    classes = prediction.shape[1]
    rows = np.bincount(segment, minlength=size).astype(np.float64)
    guess = prediction.argmax(axis=1)
    true = np.bincount(segment * classes + truth, minlength=size * classes).reshape(size, classes).astype(float)
    said = np.bincount(segment * classes + guess, minlength=size * classes).reshape(size, classes).astype(float)
    right = guess == truth
    hits = np.bincount((segment * classes + truth)[right], minlength=size * classes).reshape(size, classes)
    recall, precision = ratio(hits, true), ratio(hits, said)
    f1 = ratio(2.0 * hits, true + said)
    target = truth.astype(np.float64)
    log_loss = row_losses("log_loss", prediction, target, clip=np.finfo(np.float64).eps)
    brier = row_losses("brier", prediction, target, clip=0.0)
    found = {
        "accuracy": ratio(hits.sum(axis=1), rows),
        "balanced_accuracy": ratio(np.nansum(recall, axis=1), (true > 0).sum(axis=1)),
        "log_loss": ratio(np.bincount(segment, weights=log_loss, minlength=size), rows),
        "brier": ratio(np.bincount(segment, weights=brier, minlength=size), rows),
    }
    if classes == 2:
        found |= {"f1": f1[:, 1], "recall": recall[:, 1], "precision": precision[:, 1]}
        found["roc_auc"] = area_under_curve(prediction[:, 1], truth == 1, segment, size)
        found["calibration_error"] = _calibration_error(prediction[:, 1], target, segment, rows, bins)
    else:
        seen = ((true + said) > 0).sum(axis=1)
        for name, values in (("f1", f1), ("recall", recall), ("precision", precision)):
            found[name] = ratio(np.nansum(values, axis=1), seen)
        each = [area_under_curve(prediction[:, k], truth == k, segment, size) for k in range(classes)]
        found["roc_auc"] = np.mean(each, axis=0)
        found["calibration_error"] = _calibration_error(prediction.max(axis=1), right, segment, rows, bins)
    return found


def _calibration_error(
    probability: NDArray[np.float64],
    outcome: NDArray[Any],
    segment: NDArray[np.int64],
    rows: NDArray[np.float64],
    bins: int,
) -> NDArray[np.float64]:
    place = np.searchsorted(np.linspace(0.0, 1.0, bins + 1)[1:-1], probability)
    gap = np.bincount(segment * bins + place, weights=outcome - probability, minlength=len(rows) * bins)
    return ratio(np.abs(gap).reshape(len(rows), bins).sum(axis=1), rows)
