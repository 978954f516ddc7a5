"""Finding entities: exact whatever they are called, and small."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.bundles import entity_index
from modelfleet.bundles.entity_index import EntityIndex


@given(st.lists(st.text(max_size=4), unique=True), st.lists(st.text(max_size=4)))
def test_it_finds_what_a_dictionary_finds(keys: list[str], others: list[str]) -> None:
    index = EntityIndex(pa.array(keys, pa.string()))
    expected = {key: i for i, key in enumerate(keys)}
    asked = [*others, *reversed(keys), *others]
    assert index.find(asked).tolist() == [expected.get(entity, -1) for entity in asked]
    assert list(index) == keys
    assert all(key in index for key in keys)
    assert (len(index), 7 in index) == (len(keys), False)


@pytest.mark.parametrize("numbers", [1, 3])
def test_keys_of_equal_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch, numbers: int) -> None:
    monkeypatch.setattr(entity_index, "hash", lambda text: len(text) % numbers, raising=False)
    keys = [chr(97 + i) * (i + 1) for i in range(20)]
    index = EntityIndex(pa.array(keys))
    asked = [*reversed(keys), "?", "zz", ""]
    assert index.find(asked).tolist() == [*reversed(range(20)), -1, -1, -1]


def test_half_a_surrogate_pair_is_nobodys_name() -> None:
    assert EntityIndex(pa.array(["a", "b"])).find(["\ud800", "b"]).tolist() == [-1, 1]


def test_it_takes_a_dozen_bytes_per_entity_beside_the_keys() -> None:
    keys = pa.array([f"store-{i:06d}" for i in range(100_000)])
    index = EntityIndex(keys)
    assert index.nbytes - keys.get_total_buffer_size() == 12 * 100_000
    assert index.nbytes < 60 * 100_000
