"""Entity keys: any text is one, different values never share one, and the shard never changes."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.entity import EMPTY, entity_key, entity_keys, shard_of, shards_of
from modelfleet.data.text import BLANKS, as_text

TEXTS = st.text(alphabet=st.one_of(st.sampled_from("|\\a "), st.characters(codec="utf-8")), max_size=6)


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1), st.sampled_from([(), ("a",)]))
def test_tables_and_single_rows_have_the_same_keys(pairs: list[tuple[str, str]], missing: tuple[str, ...]) -> None:
    columns = [as_text(pa.array([pair[i] for pair in pairs], pa.string())) for i in (0, 1)]
    keys = entity_keys(columns, missing).to_pylist()
    assert [key or EMPTY for key in keys] == [entity_key(pair, missing) for pair in pairs]
    first = entity_keys(columns[:1], missing).to_pylist()
    assert [key or EMPTY for key in first] == [entity_key(pair[:1], missing) for pair in pairs]


@given(st.tuples(TEXTS, TEXTS), st.tuples(TEXTS, TEXTS))
def test_different_values_have_different_keys(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = entity_key(one), entity_key(other)
    if EMPTY not in keys:
        same = [a.strip(BLANKS) for a in one] == [b.strip(BLANKS) for b in other]
        assert (keys[0] == keys[1]) == same


def test_an_entity_is_data() -> None:
    for key in ("../x", "😀", "a" * 10_000, "x/y", "."):
        assert entity_key([f" {key} "]) == key
        assert 0 <= shard_of(key, 7) < 7
    assert entity_key([3]) == entity_key([3.0]) == entity_key(["3"]) == "3"
    assert entity_key(["a", None]) == entity_key([" "]) == entity_key([float("nan")]) == EMPTY
    assert 0 <= shard_of("\ud800", 3) < 3


def test_shards_are_the_same_in_every_run() -> None:
    assert shards_of(["Bachelors", "HS-grad", "../x", ""], 8).tolist() == [6, 7, 3, 4]
