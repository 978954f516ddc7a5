"""Texts of values: equal wherever a row comes from."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.text import as_text, text_of

VALUES = st.one_of(
    st.lists(st.none() | st.text()),
    st.lists(st.none() | st.floats()),
    st.lists(st.none() | st.integers(-(2**62), 2**62)),
    st.lists(st.none() | st.booleans()),
)


@given(VALUES)
def test_a_column_and_its_values_have_the_same_texts(values: list[object]) -> None:
    array = pa.array(values, from_pandas=False)
    texts = as_text(array)
    assert [text or "" for text in texts.to_pylist()] == [text_of(value) for value in values]
    known = texts.dictionary.to_pylist()
    assert len(known) == len(set(known))


@given(st.lists(st.none() | st.sampled_from(["a", " a", "a\t", "b", ""])))
def test_dictionaries_with_equal_texts_are_merged(values: list[str | None]) -> None:
    array = pa.array(values, pa.string()).dictionary_encode()
    assert as_text(pa.chunked_array([array, array])).to_pylist() == [
        None if value is None else value.strip() for value in [*values, *values]
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (3.0, "3"),
        (np.float32(0.5), "0.5"),
        (math.nan, ""),
        (-0.0, "0"),
        (np.int64(7), "7"),
        (np.bool_(True), "true"),
        ({"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        (" x ", "x"),
    ],
)
def test_single_values(value: object, text: str) -> None:
    assert text_of(value) == text


def test_columns_of_other_types() -> None:
    assert as_text(pa.array([b"ab ", None])).to_pylist() == ["ab", None]
    assert as_text(pa.array([[1, 2], None])).to_pylist() == ["[1, 2]", None]
    assert as_text(pa.array([datetime.date(2024, 1, 2)])).to_pylist() == ["2024-01-02"]
    assert as_text(pa.chunked_array([], pa.string())).to_pylist() == []
