"""The area under the ROC curve of many segments at once: compiled where numba is installed, numpy elsewhere."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.compiling import compiling
from modelfleet.evaluation.ratio import ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


def area_under_curve(
    score: NDArray[np.float64], positive: NDArray[np.bool_], segment: NDArray[np.int64], size: int
) -> NDArray[np.float64]:
    """Return each segment's area under the ROC curve: the share of (positive, other) pairs in the right order.

    It is Mann and Whitney's (1947) rank sum, ties sharing their mean rank. Ranks are halves of whole numbers, so both
    ways of computing them give the same bits.

    Args:
        score: (n,) finite, or NaN where a segment's result does not matter.
        positive: (n,) which rows are positive.
        segment: (n,) of each row, in [0, size).
        size: Number of segments.

    Returns:
        (size,) in [0, 1]; NaN for a segment without a positive or without another row.
    """
    rows = np.bincount(segment, minlength=size)
    ups = np.bincount(segment, weights=positive, minlength=size)
    kernel = _compiled()
    if kernel is None:
        total = _rank_sums(score, positive, segment, rows)
    else:
        together = bool((segment[1:] >= segment[:-1]).all())
        if not together:
            order = np.argsort(segment, kind="stable")
            score, positive = score[order], positive[order]
        bounds = np.concatenate([[0], np.cumsum(rows)]).astype(np.int64)
        total = np.zeros(size)
        kernel(bounds, np.ascontiguousarray(score), np.ascontiguousarray(positive), total)
    return ratio(total - ups * (ups + 1) / 2, ups * (rows - ups))


def _rank_sums(
    score: NDArray[np.float64], positive: NDArray[np.bool_], segment: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the sum of the positive rows' ranks in each segment."""
    order = np.lexsort((score, segment))
    scores, segments = score[order], segment[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (scores[1:] != scores[:-1]) | (segments[1:] != segments[:-1])
    tie = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    ends = np.append(starts[1:], len(order))
    before = np.cumsum(rows) - rows
    rank = ((starts + ends + 1) / 2)[tie] - before[segments]  # 1-based within the segment
    return np.bincount(segments, weights=rank * positive[order], minlength=len(rows)).astype(np.float64)


def _rank_sums_loop(bounds: Any, score: Any, positive: Any, total: Any) -> None:
    """Do as ``_rank_sums`` does, segment by segment; rows ``bounds[s]:bounds[s + 1]`` are segment s's.

    Segments are sorted by a merge sort of our own: compiling numpy's takes numba two seconds.
    """
    longest = 0
    for s in range(len(total)):
        longest = max(longest, bounds[s + 1] - bounds[s])
    order = np.empty(longest, dtype=np.int64)
    other = np.empty(longest, dtype=np.int64)
    for s in range(len(total)):
        start, count = bounds[s], bounds[s + 1] - bounds[s]
        for i in range(count):
            order[i] = start + i
        width = 1
        while width < count:
            for low in range(0, count, 2 * width):
                middle, high = min(low + width, count), min(low + 2 * width, count)
                left, right = low, middle
                for place in range(low, high):
                    if left < middle and (right >= high or score[order[left]] <= score[order[right]]):
                        other[place] = order[left]
                        left += 1
                    elif right < high:
                        other[place] = order[right]
                        right += 1
            order, other = other, order
            width *= 2
        i = 0
        while i < count:
            value, j, ups = score[order[i]], i, 0
            while j < count and score[order[j]] == value:
                ups += positive[order[j]]
                j += 1
            j = max(j, i + 1)  # a NaN equals nothing, not even itself
            total[s] += ups * (i + j + 1) / 2.0
            i = j


@cache
def _compiled() -> Callable[..., None] | None:
    """Return the loop compiled, or None where numba is not installed or cannot compile here."""
    try:
        from numba import njit
    except ImportError:
        return None
    try:
        kernel: Callable[..., None] = njit(cache=True, nogil=True)(_rank_sums_loop)
        # for the one set of types in use, so that threads never wait for each other's compilation
        with compiling("the ranking kernel"):
            kernel(np.array([0, 2], dtype=np.int64), np.zeros(2), np.zeros(2, dtype=bool), np.zeros(1))
    except Exception as error:  # numba raises its own types, and a read-only cache folder raises RuntimeError
        logger.warning("numba is installed but cannot compile the ranking kernel, numpy ranks instead: %s", error)
        return None
    return kernel
