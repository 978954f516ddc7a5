"""The gate's own statistics equal SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from modelfleet.gating.paired_test import benjamini_hochberg, p_value_below
from modelfleet.gating.student import student_cdf


def p_of(mean: float, error: float, n: int, bound: float = 0.0) -> float:
    return float(p_value_below(np.array([mean]), np.array([error]), np.array([n]), np.array([bound]))[0])


def test_student_equals_scipy() -> None:
    draw = np.random.default_rng(0)
    df = np.floor(10 ** draw.uniform(0, 5, 3000))
    t = np.concatenate([draw.standard_t(3, 1500) * 3, draw.normal(size=1000), -(10 ** draw.uniform(-8, 5, 500))])
    found, expected = student_cdf(t, df), stats.t.cdf(t, df)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-290)


def test_student_of_the_extremes() -> None:
    found = student_cdf(np.array([-np.inf, np.inf, 0.0, np.nan]), np.array([1.0, 2.0, 3.0, 4.0]))
    np.testing.assert_array_equal(found, [0.0, 1.0, 0.5, np.nan])


@settings(max_examples=200)
@given(st.lists(st.floats(0, 1), max_size=40))
def test_benjamini_hochberg_equals_scipy(values: list[float]) -> None:
    p = np.array(values, dtype=float)
    expected = stats.false_discovery_control(p) if len(p) else p
    np.testing.assert_allclose(benjamini_hochberg(p), expected, rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_the_paired_test_equals_scipy(seed: int) -> None:
    draw = np.random.default_rng(seed)
    d = draw.normal(draw.normal(0, 0.3), 1, draw.integers(12, 60))
    expected = stats.ttest_1samp(d, 0.1, alternative="less").pvalue
    assert p_of(d.mean(), stats.sem(d), len(d), 0.1) == pytest.approx(max(expected, 0.5 ** len(d)), rel=1e-9)


def test_n_observations_never_prove_more_than_a_sign_flip_could() -> None:
    assert p_of(-1.0, 0.0, 10) == 2**-10
    assert p_of(-1.0, 1e-9, 10) == 2**-10


@pytest.mark.parametrize(
    ("mean", "error", "n"), [(-1.0, np.nan, 1), (np.nan, 0.1, 20), (0.0, 0.0, 20), (0.2, 0.0, 20), (-1.0, 0.1, 0)]
)
def test_what_proves_nothing_has_p_1(mean: float, error: float, n: int) -> None:
    assert p_of(mean, error, n) == 1.0


@given(st.floats(-1, 1), st.floats(0.01, 1), st.integers(2, 200), st.floats(0, 1))
def test_a_better_mean_never_has_a_larger_p(mean: float, error: float, n: int, gain: float) -> None:
    assert p_of(mean - gain, error, n) <= p_of(mean, error, n) * (1 + 1e-9)
