"""Ratios and goals are computed from what was measured, and from nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.goals import Goal, goals
from benchmarks.result import make_result
from benchmarks.side import Measured
from benchmarks.suites import SUITES

SECONDS = st.floats(1e-3, 1e3)


def test_every_work_has_a_goal_entry_and_every_entry_a_work() -> None:
    works = [work for blocks in SUITES.values() for block in blocks for work in block.works]
    assert sorted(works) == sorted(goals())
    assert len(works) == len(set(works))


def test_the_goals_are_those_of_the_design() -> None:
    bounds = {name: goal.bound for name, goal in goals().items() if goal.bound is not None}
    assert bounds["gated_step"] == 150
    assert bounds["gated_step_without_numba"] == 40
    assert bounds["score_keyed_1000"] == 400
    assert bounds["bundle_bytes"] == 700
    assert bounds["register"] == 0.5


def test_a_goal_that_contradicts_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="both at_least and at_most"):
        Goal(title="t", unit="s", at_least=1, at_most=2)
    with pytest.raises(ValueError, match="ratio and baseline go together"):
        Goal(title="t", unit="s", ratio="baseline / ours")
    with pytest.raises(ValueError, match="expected one of"):
        Goal(title="t", unit="s", ratio="ours - baseline", baseline="b")  # type: ignore[arg-type]


@given(st.lists(st.tuples(SECONDS, SECONDS), min_size=1, max_size=9))
def test_a_ratio_is_the_median_of_the_rounds(rounds: list[tuple[float, float]]) -> None:
    ours, theirs = zip(*rounds, strict=True)
    result = make_result("gated_step", ours, theirs)
    ratios = sorted(other / mine for mine, other in rounds)
    assert result.spread == (ratios[0], ratios[-1])
    assert result.ratio is not None
    assert sum(ratio <= result.ratio + 1e-9 for ratio in ratios) >= len(ratios) / 2
    assert result.met == (result.ratio >= 150)
    assert result.rounds == len(rounds)


def test_a_cost_that_may_not_grow_is_ours_over_the_baseline() -> None:
    result = make_result("zipf", [1.1, 1.3, 1.2], [1.0, 1.0, 1.0])
    assert result.ratio == pytest.approx(1.2)
    assert (result.goal, result.sense, result.met) == (1.2, "at most", True)
    assert make_result("zipf", [1.3], [1.0]).met is False


def test_a_baseline_of_fewer_rounds_is_used_in_turn() -> None:
    result = make_result("gated_step", [1.0, 1.0, 1.0, 1.0], [100.0, 300.0])
    assert (result.ratio, result.spread, result.rounds) == (200.0, (100.0, 300.0), 4)


def test_another_baseline_has_no_goal() -> None:
    result = make_result("gated_step", [1.0], [2.0], against="pandas loop")
    assert (result.ratio, result.goal, result.met) == (2.0, None, None)


def test_a_goal_about_our_own_figure() -> None:
    result = make_result("register", [0.4, 0.6, 0.3])
    assert (result.ours, result.baseline, result.ratio, result.met) == (0.4, None, None, True)


def test_what_could_not_be_measured_has_not_met_its_goal() -> None:
    result = make_result("fit_torch_100", None, note="no family 'torch'")
    assert (result.ours, result.ratio, result.spread, result.met) == (None, None, None, False)


class TestScaling:
    def test_the_whole_is_taken_as_measured(self) -> None:
        assert measured(7.0, 100).scaled(100) == 7.0

    def test_what_does_not_grow_is_counted_once(self) -> None:
        """Two seconds of starting up, and a tenth per model."""
        sample = measured(2.0 + 0.1 * 50, 50, small={"units": 10, "cpu_seconds": 2.0 + 0.1 * 10})
        assert sample.scaled(1_000) == pytest.approx(2.0 + 0.1 * 1_000)

    def test_without_a_smaller_piece_it_is_in_proportion(self) -> None:
        assert measured(5.0, 50).scaled(500) == pytest.approx(50.0)

    @given(st.floats(0, 10), st.floats(0.01, 10), st.integers(11, 10_000))
    def test_any_line_is_found_again(self, fixed: float, each: float, units: int) -> None:
        sample = measured(fixed + 10 * each, 10, small={"units": 2, "cpu_seconds": fixed + 2 * each})
        assert math.isclose(sample.scaled(units), fixed + units * each, rel_tol=1e-6)


def measured(cpu: float, units: int, **extra: object) -> Measured:
    return Measured(cpu_seconds=cpu, wall_seconds=cpu, peak_bytes=0, extra={"units": units, **extra})
