"""Paired differences: exact duplicates are one observation; the rest is Student's textbook."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modelfleet.evaluation.paired import Observations

losses = st.floats(0, 1)


def paired_difference(a, b, row_hash, segment, n_segments):
    return Observations.group(row_hash, segment, n_segments).difference(a, b)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), losses, losses), max_size=40))
def test_matches_averaging_by_hand(rows: list[tuple[int, int, float, float]]) -> None:
    segment = np.array([r[0] for r in rows], dtype=np.int64)
    hashes = np.array([r[1] for r in rows], dtype=np.uint64)
    a, b = np.array([r[2] for r in rows], dtype=float), np.array([r[3] for r in rows], dtype=float)
    mean, se, n = paired_difference(a, b, hashes, segment, 3)
    for s in range(3):
        own = [(a - b)[(segment == s) & (hashes == h)].mean() for h in np.unique(hashes[segment == s])]
        assert n[s] == len(own)
        np.testing.assert_allclose(mean[s], np.mean(own) if own else np.nan, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(se[s], stats.sem(own) if len(own) > 1 else np.nan, rtol=1e-9, atol=1e-12)


@given(st.integers(1, 20))
def test_copying_rows_is_no_evidence(copies: int) -> None:
    a, b = np.array([0.1, 0.2, 0.4, 0.1]), np.array([0.3, 0.2, 0.5, 0.2])
    once = paired_difference(a, b, np.arange(4, dtype=np.uint64), np.zeros(4, dtype=np.int64), 1)
    order = np.repeat(np.arange(4), copies)
    often = paired_difference(a[order], b[order], order.astype(np.uint64), np.zeros(len(order), dtype=np.int64), 1)
    for first, second in zip(once, often, strict=True):
        np.testing.assert_allclose(first, second)


def test_equal_rows_of_two_entities_are_two_observations() -> None:
    groups = Observations.group(np.array([7, 7, 7], dtype=np.uint64), np.array([0, 1, 0]), 3)
    assert groups.counts.tolist() == [1, 1, 0]


def test_a_missing_prediction_means_no_comparison() -> None:
    mean, se, n = paired_difference(
        np.array([0.1, np.nan, 0.2, 0.3]), np.full(4, 0.5), np.arange(4, dtype=np.uint64), np.array([0, 0, 1, 1]), 2
    )
    assert n.tolist() == [0, 2] and np.isnan(mean[0]) and np.isnan(se[0]) and mean[1] < 0
