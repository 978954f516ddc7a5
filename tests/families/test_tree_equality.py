"""Trees are scikit-learn's, node for node: what the kernels repeat are internals, so this holds for one version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils._sorting import _py_simultaneous_sort

from modelfleet.data.encoded import EncodedRows
from modelfleet.families.design import Layout
from modelfleet.families.growing import Grower
from modelfleet.families.kernels import compiled, introsort, level_rows
from modelfleet.families.walking import TreePredictor
from modelfleet.spec.fleet import Task

FITS = 6
"""Per cell of the grid."""

WEIGHTS = {
    "plain": lambda rng, n: None,
    "uneven": lambda rng, n: np.exp(3 * rng.normal(size=n)),
    "tenths": lambda rng, n: np.append(0.1, rng.integers(0, 4, n - 1) * 0.1),  # zeros among them
}


def test_the_version_these_tests_speak_of():
    """A newer scikit-learn may draw or add up otherwise: see that the grid passes with it, then name it here."""
    assert sklearn.__version__.startswith("1.9.")


def make_case(rng, task, missing):
    """Return a layout, rows with ties, constant columns and unseen codes, and a target."""
    levels = rng.integers(1, 9, rng.integers(0, 5))
    numbers = int(rng.integers(0 if len(levels) and not missing else 1, 4))
    n = int(rng.integers(1, 300))
    codes = np.stack([rng.integers(-1, k + 1, n) for k in levels] or [np.zeros(n)], axis=1).astype(np.int32)
    values = np.round(rng.normal(size=(n, numbers)) * 10.0 ** rng.integers(-3, 6), int(rng.integers(0, 4)))
    if numbers and rng.random() < 0.2:
        values[:, 0] = 7.0
    if missing:
        values[rng.random(values.shape) < rng.random() * 0.7] = np.nan
        values[rng.random(values.shape) < 0.02] = np.inf
    layout = Layout(np.concatenate([[0], np.cumsum(levels + 1)]).astype(np.int64), numbers)
    outputs = {Task.BINARY: 2, Task.MULTICLASS: int(rng.integers(3, 8)), Task.REGRESSION: 1}[task]
    if task is Task.REGRESSION:
        target = np.round(rng.normal(size=n) * 10.0 ** rng.integers(-4, 7), int(rng.integers(0, 6)))
    else:
        target = np.minimum(rng.geometric(rng.uniform(0.2, 1), n) - 1, outputs - 1).astype(np.float64)
    return layout, EncodedRows(codes[:, : len(levels)], values), target, outputs


def assert_same(found, expected):
    for name in ("bounds", "feature", "threshold", "missing_left", "value"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name, strict=True)


def check(rng, task, missing, weights, depth, leaf):
    """Grow a shard of two entities both ways, and compare the nodes and what unseen rows are told."""
    layout, rows, target, outputs = make_case(rng, task, missing)
    n = len(rows)
    weight = WEIGHTS[weights](rng, n)
    bounds = np.array([0, n // 2, n]) if n > 1 else np.array([0, n])
    if weight is not None:
        weight[bounds[:-1]] = 0.3  # no entity whose rows all weigh nothing
    grower = Grower(layout, task, outputs, depth, leaf, int(rng.integers(0, 1000)))
    found = grower.by_kernel(bounds, rows, target, weight)
    expected = grower.by_sklearn(bounds, rows, target, weight)
    assert_same(found, expected)
    unseen = EncodedRows(rows.codes[rng.permutation(n)], rows.numbers[rng.permutation(n)] * 1.01)
    model = rng.integers(0, len(bounds) - 1, n).astype(np.int32)
    categories = rows.codes.shape[1]
    np.testing.assert_array_equal(
        TreePredictor(found, categories).predict(unseen, model),
        TreePredictor(expected, categories).predict(unseen, model),
    )


@pytest.mark.parametrize(
    ("task", "missing", "weights", "depth", "leaf"),
    list(product(Task, [False, True], WEIGHTS, [None, 4], [1, 5])),
)
def test_kernels_grow_scikit_learns_trees(task, missing, weights, depth, leaf):
    """72 cells, 432 shards, more than 800 trees."""
    rng = np.random.default_rng([list(Task).index(task), missing, len(weights), depth or 0, leaf])
    for _ in range(FITS):
        check(rng, task, missing, weights, depth, leaf)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32),
    task=st.sampled_from(Task),
    missing=st.booleans(),
    weights=st.sampled_from(list(WEIGHTS)),
    depth=st.none() | st.integers(1, 12),
    leaf=st.integers(1, 20),
)
def test_kernels_grow_scikit_learns_trees_whatever_the_parameters(seed, task, missing, weights, depth, leaf):
    check(np.random.default_rng(seed), task, missing, weights, depth, leaf)


@pytest.mark.parametrize("task", list(Task))
def test_a_large_entity(task):
    rng = np.random.default_rng(3)
    n = 6_000
    codes = rng.integers(0, 6, (n, 2)).astype(np.int32)
    numbers = np.column_stack(
        [rng.normal(size=n), rng.integers(0, 40, n), np.where(rng.random(n) < 0.9, 0, codes[:, 0])]
    )
    signal = numbers[:, 0] + codes[:, 1] + rng.normal(size=n)
    target = signal if task is Task.REGRESSION else np.searchsorted([2.0, 4.0], signal).astype(np.float64)
    layout = Layout(np.array([0, 6, 12]), 3)
    grower = Grower(layout, task, 1 if task is Task.REGRESSION else 3, None, 1, 5)
    rows, bounds = EncodedRows(codes, numbers), np.array([0, n])
    for weight in (None, rng.random(n)):
        assert_same(grower.by_kernel(bounds, rows, target, weight), grower.by_sklearn(bounds, rows, target, weight))


def test_one_row_and_ninety_thousand_in_one_shard():
    rng = np.random.default_rng(11)
    sizes = [1, 90_000, 2]
    n = sum(sizes)
    codes = rng.integers(0, 9, (n, 2)).astype(np.int32)
    numbers = np.column_stack([np.round(rng.normal(size=n), 2), np.full(n, 7.0), np.full(n, np.nan)])
    target = (numbers[:, 0] + codes[:, 0] % 3 + rng.normal(size=n) > 1).astype(np.float64)
    grower = Grower(Layout(np.array([0, 9, 18]), 3), Task.BINARY, 2, None, 1, 5)
    rows, bounds = EncodedRows(codes, numbers), np.concatenate([[0], np.cumsum(sizes)])
    found = grower.by_kernel(bounds, rows, target, None)
    assert_same(found, grower.by_sklearn(bounds, rows, target, None))
    assert np.diff(found.bounds)[1] > 10_000


def test_right_children_are_where_scikit_learn_has_them():
    rng = np.random.default_rng(0)
    codes, numbers = rng.integers(0, 5, (300, 2)).astype(np.int32), rng.normal(size=(300, 2))
    target = rng.integers(0, 2, 300).astype(np.float64)
    layout = Layout(np.array([0, 5, 10]), 2)
    trees = Grower(layout, Task.BINARY, 2, None, 1, 4).by_kernel(
        np.array([0, 300]), EncodedRows(codes, numbers), target, None
    )
    dense = np.zeros((300, 12), dtype=np.float32)
    layout.one_hot(codes, np.arange(10), dense)
    dense[:, 10:] = numbers
    theirs = DecisionTreeClassifier(random_state=4).fit(dense, target).tree_
    np.testing.assert_array_equal(trees.right(), np.where(theirs.children_left < 0, 0, theirs.children_right))
    inner = np.flatnonzero(theirs.children_left >= 0)
    np.testing.assert_array_equal(theirs.children_left[inner], inner + 1)


def test_threads_grow_the_same_trees():
    rng = np.random.default_rng(1)
    layout, n = Layout(np.array([0, 7]), 2), 3_000
    rows = EncodedRows(rng.integers(0, 7, (n, 1)).astype(np.int32), np.round(rng.normal(size=(n, 2)), 1))
    bounds = np.arange(0, n + 1, 100)
    for task, target in ((Task.BINARY, rng.integers(0, 2, n) * 1.0), (Task.REGRESSION, rng.normal(size=n))):
        grower = Grower(layout, task, 2 if task is Task.BINARY else 1, None, 1, 0)
        alone = grower.by_kernel(bounds, rows, target, None)
        with ThreadPoolExecutor(4) as pool:
            jobs = [pool.submit(grower.by_kernel, bounds, rows, target, None) for _ in range(8)]
        for job in jobs:
            assert_same(job.result(), alone)


def sorted_by_ours(values):
    values, rows = values.copy(), np.arange(len(values), dtype=np.int32)
    introsort.sort_rows(values, rows, 0, len(values), np.zeros(3 * 64, dtype=np.int64))
    return values, rows


def sorted_by_theirs(values):
    values, rows = values.copy(), np.arange(len(values), dtype=np.intp)
    _py_simultaneous_sort(values, rows, len(values), use_three_way_partition=True)
    return values, rows


@given(st.lists(st.integers(0, 12) | st.integers(-1000, 1000), min_size=1, max_size=200))
def test_the_sort_leaves_equal_values_in_scikit_learns_order(values):
    values = np.array(values, dtype=np.float32)
    for ours, theirs in zip(sorted_by_ours(values), sorted_by_theirs(values), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=120), st.integers(0, 2))
def test_sorting_by_a_level_is_sorting_zeros_and_ones(own, level):
    own = np.array(own, dtype=np.int32)
    rows, spare = np.arange(len(own), dtype=np.int32), np.zeros(len(own), dtype=np.int32)
    expected = sorted_by_theirs((own == level).astype(np.float32))[1]
    level_rows.sort_level(own[None, :], 0, level, rows, 0, len(own), spare)
    np.testing.assert_array_equal(rows, expected)


@given(st.lists(st.booleans(), min_size=16, max_size=120), st.randoms(use_true_random=False))
def test_sorting_by_a_rare_level_is_sorting_zeros_and_ones(ones, random):
    ones[0] = ones[-1] = False  # so that the pivot is 0
    order = list(range(len(ones)))
    random.shuffle(order)
    rows = np.array(order, dtype=np.int32)
    place = np.argsort(rows).astype(np.int32)
    members = rows[np.flatnonzero(ones)]
    expected = rows[sorted_by_theirs(np.array(ones, dtype=np.float32))[1]]
    random.shuffle(order)
    bucket = np.array([[row for row in order if row in members]], dtype=np.int32)
    level_rows.sort_rare_level(bucket, 0, 0, len(members), rows, place, len(rows), np.zeros(len(rows), dtype=np.int32))
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(rows[place], np.arange(len(rows)))


def slowest_to_sort(n):
    """Return values on which the quicksort chooses the worst pivots, found by deciding them while it sorts.

    M. D. McIlroy, A Killer Adversary for Quicksort, 1999: a value not yet decided counts as larger than all that are.
    """
    decided, candidate = {}, [0]

    class Value:
        def __init__(self, name):
            self.name = name

        def against(self, other):
            mine, theirs = self.name, other.name
            if mine not in decided and theirs not in decided:
                decided[mine if mine == candidate[0] else theirs] = len(decided)
            if mine not in decided:
                candidate[0] = mine
            elif theirs not in decided:
                candidate[0] = theirs
            return decided.get(mine, n) - decided.get(theirs, n)

        def __lt__(self, other):
            return self is not other and self.against(other) < 0

        def __gt__(self, other):
            return self is not other and self.against(other) > 0

    introsort.sort_rows([Value(i) for i in range(n)], list(range(n)), 0, n, np.zeros(3 * 64, dtype=np.int64))
    return np.array([decided.get(i, n) for i in range(n)], dtype=np.float32)


def test_a_quicksort_that_goes_wrong_becomes_the_same_heapsort(monkeypatch):
    values = slowest_to_sort(800) // 2  # pairs of equal ones
    sunk = []
    sift = introsort.sift
    monkeypatch.setattr(introsort, "sift", lambda *arguments: (sunk.append(1), sift(*arguments)))
    ours = sorted_by_ours(values)
    for mine, theirs in zip(ours, sorted_by_theirs(values), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert sunk


def test_compiled_at_all():
    assert compiled.warm()
