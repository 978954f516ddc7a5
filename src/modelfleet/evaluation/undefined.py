"""Why a metric is NaN: one code per segment and metric, and a short text of them for tables."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Undefined(StrEnum):
    """Why a metric has no value.

    Attributes:
        NO_ROWS: There is no row to measure on.
        NO_PREDICTION: Some row has no prediction, such as where there is no model.
        CLASS_ABSENT: Some class is not among the rows, so that nothing can be ranked below or above it.
        NO_POSITIVE: No row is positive, so that there is nothing to find.
        NONE_PREDICTED: No row is predicted positive.
        ONE_ROW: A single row has no variance to explain.
        CONSTANT_TARGET: All rows have one target, so that there is no variance to explain.
        NOT_FINITE: The numbers are too large to be squared or summed.
    """

    NO_ROWS = "no_rows"
    NO_PREDICTION = "no_prediction"
    CLASS_ABSENT = "class_absent"
    NO_POSITIVE = "no_positive"
    NONE_PREDICTED = "none_predicted"
    ONE_ROW = "one_row"
    CONSTANT_TARGET = "constant_target"
    NOT_FINITE = "not_finite"


_CODES = tuple(Undefined)

_OWN = {
    "roc_auc": Undefined.CLASS_ABSENT,
    "recall": Undefined.NO_POSITIVE,
    "precision": Undefined.NONE_PREDICTED,
    "f1": Undefined.NO_POSITIVE,
}
"""Why a metric of classes is undefined where there are rows and predictions; F1 needs a positive row or prediction."""


def why_undefined(
    task: Task,
    metrics: Mapping[str, NDArray[np.float64]],
    prediction: NDArray[np.float64],
    segment: NDArray[np.int64],
    n_segments: int,
) -> dict[str, NDArray[np.object_]]:
    """Return why each metric of each segment is NaN.

    Args:
        task: What is predicted.
        metrics: What ``metrics_by_segment`` returned.
        prediction: What it was given; likewise the next two.
        segment: The segment of each row.
        n_segments: Number of segments.

    Returns:
        For each metric, (n_segments,) of ``Undefined``, or None where it has a value.
    """
    found = {}
    for name, codes in _codes(task, metrics, prediction, segment, n_segments).items():
        texts = np.full(n_segments, None, dtype=object)
        for code in np.unique(codes[codes >= 0]):
            texts[codes == code] = _CODES[code]
        found[name] = texts
    return found


def undefined_text(
    task: Task,
    metrics: Mapping[str, NDArray[np.float64]],
    prediction: NDArray[np.float64],
    segment: NDArray[np.int64],
    n_segments: int,
) -> pa.Array:
    """Return one text per segment, such as ``recall: no_positive, roc_auc: class_absent``; null where all is defined.

    Where one reason holds for every metric it stands alone. The arguments are those of ``why_undefined``.
    """
    if not any(np.isnan(values).any() for values in metrics.values()):
        return pa.nulls(n_segments, pa.string())
    codes = _codes(task, metrics, prediction, segment, n_segments)
    names = sorted(codes)
    key = np.zeros(n_segments, dtype=np.int64)  # the codes of all metrics as one number
    for name in names:
        key = key * (len(_CODES) + 1) + codes[name] + 1
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    texts = pa.array([_text(names, [int(codes[name][at]) for name in names]) for at in first], pa.string())
    return texts.take(pa.array(which))


def _text(names: list[str], kind: list[int]) -> str | None:
    if len(set(kind)) == 1:
        return None if kind[0] < 0 else str(_CODES[kind[0]])
    return ", ".join(f"{name}: {_CODES[code]}" for name, code in zip(names, kind, strict=True) if code >= 0)


def _codes(
    task: Task,
    metrics: Mapping[str, NDArray[np.float64]],
    prediction: NDArray[np.float64],
    segment: NDArray[np.int64],
    size: int,
) -> dict[str, NDArray[np.int8]]:
    """Return (size,) places in ``_CODES`` by metric; -1 where the metric has a value."""
    rows = np.bincount(segment, minlength=size)
    broken = np.bincount(segment, weights=np.isnan(prediction).any(axis=1), minlength=size) > 0
    found = {}
    for name, values in metrics.items():
        own = _own(task, name)
        reason = np.full(size, _CODES.index(own), dtype=np.int8)
        if own is Undefined.CONSTANT_TARGET:
            reason[rows == 1] = _CODES.index(Undefined.ONE_ROW)
        reason[broken] = _CODES.index(Undefined.NO_PREDICTION)
        reason[rows == 0] = _CODES.index(Undefined.NO_ROWS)
        found[name] = np.where(np.isnan(values), reason, np.int8(-1))
    return found


def _own(task: Task, name: str) -> Undefined:
    if task is Task.REGRESSION:
        return Undefined.CONSTANT_TARGET if name == "r2" else Undefined.NOT_FINITE
    return _OWN.get(name, Undefined.NOT_FINITE)
