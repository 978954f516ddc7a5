"""The split: a row never changes part, and an entity's holdout threshold only falls."""

from __future__ import annotations

from random import Random

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.content import hash_rows, hash_texts
from modelfleet.data.split import (
    HOLDOUT,
    TRAIN,
    VALIDATION,
    holdout_threshold,
    parts_of,
    position_of,
    split_fingerprint,
    surely_train,
)
from modelfleet.data.text import BLANKS, as_text
from modelfleet.spec import SplitSpec

SPLIT = SplitSpec(holdout=0.2, validation=0.1)


def texts(values: list[str]) -> pa.DictionaryArray:
    return as_text(pa.array(values, pa.string()))


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=3)), min_size=1, max_size=50), st.randoms())
def test_the_hash_of_a_row_depends_on_its_content_alone(rows: list[tuple[str, str]], random: Random) -> None:
    one = hash_rows({"a": texts([row[0] for row in rows]), "b": texts([row[1] for row in rows])})
    order = list(range(len(rows)))
    random.shuffle(order)
    moved = [rows[i] for i in order]
    other = hash_rows({"b": texts([row[1] for row in moved]), "a": texts([row[0] for row in moved])})
    assert (one[order] == other).all()
    trimmed = [tuple(text.strip(BLANKS) for text in row) for row in rows]
    for i in range(len(rows)):
        for j in range(i):
            assert (one[i] == one[j]) == (trimmed[i] == trimmed[j])


def test_columns_with_swapped_values_and_long_texts_hash_apart() -> None:
    one = hash_rows({"a": texts(["x"]), "b": texts(["y"])})
    other = hash_rows({"a": texts(["y"]), "b": texts(["x"])})
    assert one[0] != other[0]
    keys = pa.array([str(i) for i in range(50_000)] + ["k" * 10_000, "k" * 9_999, "", None])
    assert len(np.unique(hash_texts(keys))) == len(keys) - 1  # null and empty are alike
    assert (hash_texts(keys.slice(7, 9)) == hash_texts(keys)[7:16]).all()


def test_hashes_are_the_same_in_every_run() -> None:
    assert hash_texts(pa.array(["Bachelors"])).tolist() == [13901534872684730511]
    assert position_of(np.array([1], np.uint64), "salt").tolist() == [0.5904360066296914]


def test_positions_are_spread_evenly_and_by_salt() -> None:
    identity = hash_texts(pa.array([str(i) for i in range(20_000)]))
    one, other = position_of(identity, "a"), position_of(identity, "b")
    assert abs((one < 0.2).mean() - 0.2) < 0.01
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=60), st.integers(1, 10), st.data())
def test_the_threshold_only_falls_as_data_grows(positions: list[float], cap: int, data: st.DataObject) -> None:
    all_rows = np.array(positions)
    seen = all_rows[: data.draw(st.integers(1, len(positions)))]
    before = holdout_threshold(seen, 0.2, cap)
    after = holdout_threshold(all_rows, 0.2, cap, before)
    assert after <= before <= 0.2
    # nothing that trained earlier is in the holdout now
    trained = parts_of(seen, before, SPLIT) != HOLDOUT
    assert not (parts_of(seen, after, SPLIT)[trained] == HOLDOUT).any()


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, unique=True), st.integers(1, 10))
def test_the_cap_holds_for_rows_of_their_own(positions: list[float], cap: int) -> None:
    rows = np.array(positions)
    assert (rows < holdout_threshold(rows, 0.2, cap)).sum() == min(cap, (rows < 0.2).sum())


def test_equal_rows_share_a_part_even_above_the_cap() -> None:
    rows = np.array([0.01] * 30 + [0.05] * 5 + [0.5])
    threshold = holdout_threshold(rows, 0.2, 10)
    assert (rows < threshold).sum() == 30
    assert holdout_threshold(np.array([0.01] * 30), 0.2, 10) == 0.2


def test_parts_and_their_bounds() -> None:
    position = np.array([0.0, 0.1, 0.15, 0.2, 0.29, 0.31, 0.9])
    assert parts_of(position, 0.15, SPLIT).tolist() == [HOLDOUT, HOLDOUT, TRAIN, VALIDATION, VALIDATION, TRAIN, TRAIN]
    assert surely_train(position, SPLIT).tolist() == [False] * 5 + [True] * 2


def test_the_fingerprint_knows_what_decides_parts_and_nothing_else() -> None:
    base = split_fingerprint(SPLIT, ["a", "b"], "content")
    assert base == split_fingerprint(SPLIT.model_copy(update={"holdout_cap": 77}), ["b", "a"], "content")
    for change in ({"salt": "x"}, {"holdout": 0.3}, {"validation": 0.2}):
        assert base != split_fingerprint(SPLIT.model_copy(update=change), ["a", "b"], "content")
    assert base != split_fingerprint(SPLIT, ["a"], "content")
    assert base != split_fingerprint(SPLIT, ["a", "b"], "group")
