"""Columns on their way to a shard: fewer bytes, the same values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.compact import compact, plain, stack, used_only

TEXTS = st.lists(st.none() | st.text(max_size=3))
NUMBERS = st.lists(st.none() | st.floats(allow_nan=False, allow_infinity=False))
TRUTHS = st.lists(st.none() | st.booleans())


def coded(values: list[object], kind: pa.DataType) -> pa.DictionaryArray:
    """A dictionary with entries nothing points at, and with a null entry, as typing a column leaves it."""
    distinct = list(dict.fromkeys(values))
    spare = [False] if pa.types.is_boolean(kind) else ["spare"] if pa.types.is_string(kind) else [-7.5]
    unused = [entry for entry in spare if entry not in distinct]
    entries = [*unused, *(entry for entry in distinct if entry is not None)]
    place = {entry: i for i, entry in enumerate(entries)}
    if not pa.types.is_string(kind):
        place[None] = len(entries)
        entries.append(None)
    indices = pa.array([place.get(value) for value in values], pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(entries, kind))


@pytest.mark.parametrize(
    ("kind", "strategy"), [(pa.string(), TEXTS), (pa.float64(), NUMBERS), (pa.bool_(), TRUTHS)], ids=str
)
@given(data=st.data())
def test_values_survive_the_way(kind: pa.DataType, strategy: st.SearchStrategy, data: st.DataObject) -> None:
    chunks = data.draw(st.lists(strategy, min_size=1, max_size=4))
    parts = [pa.table({"c": compact(coded(chunk, kind))}) for chunk in chunks]
    rows = stack(parts)
    values = [value for chunk in chunks for value in chunk]
    assert rows["c"].to_pylist() == values
    stored = plain(rows["c"].combine_chunks() if rows["c"].num_chunks > 1 else rows["c"].chunk(0))
    assert stored.to_pylist() == values
    if pa.types.is_string(kind):
        known = stored.dictionary.to_pylist()
        assert known == sorted({value for value in values if value is not None}, key=lambda text: text.encode())
        assert stored.indices.type == pa.int32()
    else:
        assert stored.type == kind


@given(st.lists(st.text(max_size=3), min_size=1))
def test_a_dictionary_of_what_occurs(values: list[str]) -> None:
    column = used_only(compact(coded(list(values), pa.string())))
    assert column.to_pylist() == values
    assert sorted(column.dictionary.to_pylist()) == sorted(set(values))


@pytest.mark.parametrize(("entries", "width"), [(128, pa.int8()), (129, pa.int16()), (40_000, pa.int32())])
def test_codes_are_as_narrow_as_the_dictionary_allows(entries: int, width: pa.DataType) -> None:
    texts = pa.array([f"t{i}" for i in range(entries)])
    column = compact(pa.DictionaryArray.from_arrays(pa.array(np.arange(entries, dtype=np.int32)), texts))
    assert column.type.index_type == width
    assert column.indices.to_pylist() == list(range(entries))


def test_stacking_widens_codes_that_no_longer_fit() -> None:
    def part(begin: int) -> pa.Table:
        names = pa.array([f"t{i}" for i in range(begin, begin + 100)])
        return pa.table({"c": compact(names.dictionary_encode())})

    column = stack([part(0), part(100), part(50)])["c"]
    assert column.type.index_type == pa.int16()
    assert column.to_pylist() == [f"t{i}" for begin in (0, 100, 50) for i in range(begin, begin + 100)]
