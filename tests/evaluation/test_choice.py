"""Choosing winners: shrunk scores find better candidates than the smallest validation loss does."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.evaluation.choice import Fleet, Trials
from modelfleet.evaluation.paired import Observations


def trials_of(losses: np.ndarray, sizes: list[int], fitted: np.ndarray | None = None) -> Trials:
    """Summarise (n, K) losses of entities with so many rows each, all rows distinct."""
    segment = np.repeat(np.arange(len(sizes)), sizes)
    observations = Observations.group(np.arange(len(segment), dtype=np.uint64), segment, len(sizes))
    if fitted is None:
        fitted = np.ones((len(sizes), losses.shape[1]), dtype=bool)
    return Trials.measure(observations, losses, fitted)[0]


def scores_of(fleet: Fleet, trials: Trials) -> np.ndarray:
    return fleet.scores(trials.rows, trials.loss, trials.fitted)


def simulated(seed: int, sizes: list[int], *, spread: float, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (E, 4) true mean losses, which differ by ``spread`` between entities, and (n, 4) losses of rows.

    The second candidate is the fleet's best, and a hard row is hard for all of them.
    """
    draw = np.random.default_rng(seed)
    true = 0.20 + np.array([0.010, 0.0, 0.012, 0.020]) + draw.normal(0, spread, (len(sizes), 4))
    segment = np.repeat(np.arange(len(sizes)), sizes)
    hard = draw.normal(0, noise, (len(segment), 1))
    return true, true[segment] + hard + draw.normal(0, noise, (len(segment), 4))


@pytest.mark.parametrize("spread", [0.005, 0.02])
@pytest.mark.parametrize("rows", [10, 25])
def test_shrinkage_beats_argmax_and_the_fleets_best_on_small_entities(rows: int, spread: float) -> None:
    gain = []
    for seed in range(5):
        sizes = [rows] * 2_000
        true, losses = simulated(seed, sizes, spread=spread, noise=0.15)
        trials = trials_of(losses, sizes)
        fleet = Fleet.learn([trials])
        each = np.arange(len(sizes))
        shrunk = true[each, fleet.winners(scores_of(fleet, trials))].mean()
        luckiest = true[each, trials.loss.argmin(axis=1)].mean()
        best = true[:, true.mean(axis=0).argmin()].mean()
        gain.append((luckiest - shrunk, best - shrunk))
        told = trials.loss.min(axis=1).mean()
        assert told < luckiest - 0.01, "the smallest validation loss promises what the holdout does not keep"
    beyond_argmax, beyond_one_for_all = np.mean(gain, axis=0)
    assert beyond_argmax > 0.001
    assert beyond_one_for_all > -0.0002
    if spread > 0.01:
        assert beyond_one_for_all > 0.0005


def test_with_many_rows_each_entity_gets_its_own_best() -> None:
    sizes = [4_000] * 40
    true, losses = simulated(1, sizes, spread=0.1, noise=0.15)
    trials = trials_of(losses, sizes)
    fleet = Fleet.learn([trials])
    right = fleet.winners(scores_of(fleet, trials)) == true.argmin(axis=1)
    assert right.mean() > 0.9


def test_the_formula_by_hand() -> None:
    # two entities, four rows each; differences of candidate 1 from 0: (1, 3, 1, 3) and (-1, 1, -1, 1)
    zero = np.zeros(8)
    one = np.array([1.0, 3, 1, 3, -1, 1, -1, 1])
    trials = trials_of(np.column_stack([zero, one]), [4, 4])
    fleet = Fleet.learn([trials])
    within = 8 / 6  # eight squares of 1, six degrees of freedom
    excess = 4 * 1 + 4 * 1 - 1 * within  # rows times squared deviation from the mean difference 1, less one `within`
    between = excess / (8 - (16 + 16) / 8)
    assert fleet.ranking.tolist() == [0, 1]
    assert fleet.within[1, 0] == pytest.approx(within)
    assert fleet.between[1, 0] == pytest.approx(between)
    assert fleet.mean[1, 0] == pytest.approx(1.0)
    share = between / (between + within / 4)
    np.testing.assert_allclose(scores_of(fleet, trials), [[0, 1 + share], [0, 1 - share]])


def test_an_entity_without_validation_rows_follows_the_fleet() -> None:
    losses = np.column_stack([np.full(20, 0.3), np.full(20, 0.2)]) + np.random.default_rng(0).normal(0, 0.01, (20, 2))
    trials = trials_of(losses, [10, 0, 10])
    fleet = Fleet.learn([trials])
    assert fleet.winners(scores_of(fleet, trials)).tolist() == [1, 1, 1]


def test_without_any_validation_row_the_first_candidate_wins() -> None:
    trials = trials_of(np.empty((0, 3)), [0, 0], np.array([[False, True, True], [True, True, True]]))
    fleet = Fleet.learn([trials])
    assert fleet.winners(scores_of(fleet, trials)).tolist() == [1, 0]


def test_an_entity_without_the_fleets_best_chooses_among_the_others() -> None:
    draw = np.random.default_rng(2)
    losses = np.array([0.3, 0.1, 0.2]) + draw.normal(0, 0.01, (60, 3))
    losses[40:, 1] = np.nan
    fitted = np.ones((3, 3), dtype=bool)
    fitted[2, 1] = False
    trials = trials_of(losses, [20, 20, 20], fitted)
    fleet = Fleet.learn([trials])
    assert fleet.ranking.tolist() == [1, 2, 0]
    scores = scores_of(fleet, trials)
    assert fleet.winners(scores).tolist() == [1, 1, 2]
    assert np.isinf(scores[2, 1]) and scores[2, 2] == 0


def test_a_candidate_that_predicts_no_number_is_not_there() -> None:
    losses = np.array([[0.1, 0.5], [np.nan, 0.4]])
    trials = trials_of(losses, [2])
    assert trials.fitted.tolist() == [[False, True]]
    fleet = Fleet.learn([trials])
    assert fleet.winners(scores_of(fleet, trials)).tolist() == [1]


def test_nobody_to_choose_from() -> None:
    trials = trials_of(np.full((2, 2), np.nan), [2], np.zeros((1, 2), dtype=bool))
    fleet = Fleet.learn([trials])
    assert fleet.winners(scores_of(fleet, trials)).tolist() == [-1]
    none = trials_of(np.empty((0, 2)), [])
    fleet = Fleet.learn([none])
    assert fleet.winners(scores_of(fleet, none)).tolist() == []


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=8),
    st.integers(0, 2**32 - 1),
    st.permutations(range(4)),
    st.integers(0, 8),
)
def test_neither_the_order_of_candidates_nor_the_shards_matter(
    sizes: list[int], seed: int, order: list[int], cut: int
) -> None:
    _, losses = simulated(seed, sizes, spread=0.02, noise=0.1)
    whole = trials_of(losses, sizes)
    fleet = Fleet.learn([whole])
    scores = scores_of(fleet, whole)
    assert ((scores.min(axis=1) <= 0) & np.isfinite(scores).all(axis=1)).all()
    moved = trials_of(losses[:, order], sizes)
    if whole.rows.any():  # else the order is all there is to go by
        np.testing.assert_allclose(scores_of(Fleet.learn([moved]), moved), scores[:, order], atol=1e-9)
    first = min(cut, len(sizes))
    at = sum(sizes[:first])
    parts = [trials_of(losses[:at], sizes[:first]), trials_of(losses[at:], sizes[first:])]
    apart = Fleet.learn(parts)
    np.testing.assert_allclose(np.concatenate([scores_of(apart, part) for part in parts]), scores, atol=1e-9)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30))
def test_squares_are_those_of_the_differences(seed: int, rows: int) -> None:
    losses = np.random.default_rng(seed).normal(size=(rows, 3))
    trials = trials_of(losses, [rows])
    for k in range(3):
        for r in range(3):
            difference = losses[:, k] - losses[:, r]
            assert trials.squares[k, r] == pytest.approx(((difference - difference.mean()) ** 2).sum(), abs=1e-9)
            assert trials.freedom[k, r] == rows - 1
