"""Typed columns from texts. A text that does not fit its column's type is reported, not guessed at."""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelfleet.data.text import TEXT
from modelfleet.spec.data import ColumnType

NUMBER_PATTERN = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
INTEGER_PATTERN = r"^[+-]?\d+(\.0*)?$"
TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0"), False),
}
"""Texts of a boolean, in small letters."""

EXPECTED = {
    ColumnType.NUMBER: "expected a number",
    ColumnType.INTEGER: "expected a whole number of at most 18 digits",
    ColumnType.BOOLEAN: "expected true or false (or yes/no, t/f, y/n, 1/0)",
}
"""What a text should have been, by type."""

ARROW_TYPES = {
    ColumnType.NUMBER: pa.float64(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.BOOLEAN: pa.bool_(),
}

_NUMBER = re.compile(NUMBER_PATTERN, re.ASCII)
_INTEGER = re.compile(INTEGER_PATTERN, re.ASCII)
_NOT_A_NUMBER = frozenset({"nan", "-nan", "+nan"})
_DIGITS = 18


@dataclass(frozen=True)
class TypedColumn:
    """A column after typing.

    Attributes:
        values: n values: float64, int64, bool, or dictionary of strings; null where missing or bad.
        bad: (n,) bool: the row has a text that does not fit; None where no row has.
        reason: What was expected.
    """

    values: pa.Array
    bad: NDArray[np.bool_] | None
    reason: str


def is_missing(texts: pa.Array, missing: Collection[str]) -> pa.Array:
    """Return which texts mean "no value": null, empty, or one of the markers."""
    return pc.fill_null(pc.is_in(texts, pa.array(["", *missing], pa.string())), True)


def type_column(column: pa.DictionaryArray, kind: ColumnType, missing: Collection[str] = ()) -> TypedColumn:
    """Return the values of a column given as texts; each distinct text is looked at once.

    Args:
        column: n texts (``modelfleet.data.text.as_text``).
        kind: What they should be.
        missing: Texts that mean "no value", besides the empty one.
    """
    texts = pc.if_else(is_missing(column.dictionary, missing), pa.scalar(None, pa.string()), column.dictionary)
    if kind not in ARROW_TYPES:
        again = texts.dictionary_encode()
        values = pa.DictionaryArray.from_arrays(again.indices.take(column.indices), again.dictionary)
        return TypedColumn(values.cast(TEXT), None, "")
    if kind is ColumnType.NUMBER:
        texts = pc.if_else(
            pc.is_in(pc.utf8_lower(texts), pa.array(sorted(_NOT_A_NUMBER))), pa.scalar(None, pa.string()), texts
        )
    typed = _numbers(texts) if kind is ColumnType.NUMBER else _few(texts, kind)
    if typed.null_count == texts.null_count:
        return TypedColumn(typed.take(column.indices), None, "")
    wrong = pc.and_(pc.is_null(typed), pc.is_valid(texts))
    bad = pc.fill_null(wrong.take(column.indices), False).to_numpy(zero_copy_only=False)
    return TypedColumn(typed.take(column.indices), bad if bad.any() else None, EXPECTED[kind])


def number_of(text: str) -> float | None:
    """Return the number a text stands for, NaN for "nan", None where it is none (or not finite)."""
    if not _NUMBER.match(text):
        return math.nan if text.lower() in _NOT_A_NUMBER else None
    number = float(text)
    return number if math.isfinite(number) else None


def integer_of(text: str) -> float | None:
    """Return the whole number a text stands for, None where it is none."""
    if not _INTEGER.match(text):
        return None
    whole = text.split(".", 1)[0]
    return float(int(whole)) if len(whole.lstrip("+-0")) <= _DIGITS else None


def truth_of(text: str) -> float | None:
    """Return 1 or 0 for a text of a boolean, None where it is none."""
    truth = TRUTHS.get(text.lower())
    return None if truth is None else float(truth)


def _numbers(texts: pa.Array) -> pa.Array:
    try:
        numbers = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        fits = pc.match_substring_regex(texts, NUMBER_PATTERN)
        numbers = pc.if_else(fits, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _few(texts: pa.Array, kind: ColumnType) -> pa.Array:
    """Return whole numbers or truths."""
    if kind is ColumnType.BOOLEAN:
        return pa.array([None if t is None else TRUTHS.get(t.lower()) for t in texts.to_pylist()], pa.bool_())
    fits = pc.match_substring_regex(texts, INTEGER_PATTERN)
    whole = pc.replace_substring_regex(texts, r"^\+|\.0*$", "")
    fits = pc.and_(fits, pc.less_equal(pc.utf8_length(pc.utf8_ltrim(whole, characters="-0")), _DIGITS))
    return pc.if_else(fits, whole, pa.scalar(None, pa.string())).cast(pa.int64())
