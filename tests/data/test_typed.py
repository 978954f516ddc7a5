"""Typing: what fits is typed, what does not is told apart from what is missing."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.text import as_text
from modelfleet.data.typed import integer_of, number_of, type_column
from modelfleet.spec import ColumnType


def typed(texts: list[str | None], kind: ColumnType) -> tuple[list[object], list[bool]]:
    column = type_column(as_text(pa.array(texts, pa.string())), kind, missing=("?",))
    bad = [False] * len(texts) if column.bad is None else column.bad.tolist()
    return column.values.to_pylist(), bad


@pytest.mark.parametrize(
    ("kind", "texts", "values", "bad"),
    [
        (ColumnType.NUMBER, ["1", " 2.5 ", "?", "", None, "x"], [1.0, 2.5, None, None, None, None], "x"),
        (
            ColumnType.NUMBER,
            ["inf", "1e400", "nan", "1_000", "0x1f", "+.5"],
            [None] * 5 + [0.5],
            "inf 1e400 1_000 0x1f",
        ),
        (ColumnType.INTEGER, ["1", "+2", "3.0", "4.5", "-007", "0x10"], [1, 2, 3, None, -7, None], "4.5 0x10"),
        (ColumnType.INTEGER, ["9" * 18, "9" * 19, "1e3"], [10**18 - 1, None, None], "9" * 19 + " 1e3"),
        (ColumnType.BOOLEAN, ["true", "NO", "1", "f", "maybe"], [True, False, True, False, None], "maybe"),
        (ColumnType.CATEGORY, ["a", " a", "?", "../x", "😀"], ["a", "a", None, "../x", "😀"], ""),
    ],
)
def test_each_type(kind: ColumnType, texts: list[str | None], values: list[object], bad: str) -> None:
    found, wrong = typed(texts, kind)
    assert found == values
    assert [text for text, is_bad in zip(texts, wrong, strict=True) if is_bad] == bad.split()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_numbers_come_back_exactly(numbers: list[float]) -> None:
    found, wrong = typed([repr(number) for number in numbers], ColumnType.NUMBER)
    assert found == numbers
    assert not any(wrong)


@given(st.lists(st.one_of(st.text(max_size=12), st.from_regex(r"[+-]?[0-9]{0,20}(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?"))))
def test_columns_and_single_texts_agree(texts: list[str]) -> None:
    for kind, parse in ((ColumnType.NUMBER, number_of), (ColumnType.INTEGER, integer_of)):
        values, wrong = typed(texts, kind)
        column = as_text(pa.array(texts, pa.string())).to_pylist()
        for text, value, is_bad in zip(column, values, wrong, strict=True):
            if text in ("", "?"):
                assert value is None
                assert not is_bad
                continue
            one = parse(text)
            assert is_bad == (one is None)
            if one is not None and not math.isnan(one):
                assert value == one or (kind is ColumnType.INTEGER and float(value) == one)
