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
        coded: n values as a dictionary of float64, int64, bool or string; null where missing or bad.
        bad: (n,) bool: the row has a text that does not fit; None where no row has.
        reason: What was expected.
    """

    coded: pa.DictionaryArray
    bad: NDArray[np.bool_] | None
    reason: str

    @property
    def values(self) -> pa.Array:
        """The n values: float64, int64, bool, or dictionary of strings; null where missing or bad."""
        return self.coded if self.coded.type.value_type == pa.string() else self.coded.dictionary_decode()


def is_missing(texts: pa.Array, missing: Collection[str]) -> pa.Array:
    """Return which texts mean "no value": null, empty, or one of the markers."""
    return pc.fill_null(pc.is_in(texts, pa.array(["", *missing], pa.string())), True)


def type_column(
    column: pa.DictionaryArray, kind: ColumnType, missing: Collection[str] = (), values: pa.Array | None = None
) -> TypedColumn:
    """Return the values of a column given as texts; each distinct text is looked at once.

    Args:
        column: n texts (``modelfleet.data.text.as_text``).
        kind: What they should be.
        missing: Texts that mean "no value", besides the empty one.
        values: What the texts of the dictionary were made of, if that is known
            (``modelfleet.data.text.texts_and_values``): numbers need not be read back from their texts.
    """
    texts = column.dictionary
    if missing or values is None or not pa.types.is_integer(values.type):  # the text of an integer is never empty
        absent = is_missing(texts, missing)
        if pc.any(absent).as_py():
            texts = pc.if_else(absent, pa.scalar(None, pa.string()), texts)
    if kind not in ARROW_TYPES:
        if not texts.null_count:
            return TypedColumn(column, None, "")
        again = texts.dictionary_encode()
        coded = pa.DictionaryArray.from_arrays(again.indices.take(column.indices), again.dictionary)
        return TypedColumn(coded.cast(TEXT), None, "")
    if kind is ColumnType.NUMBER and values is not None and _is_number(values.type):
        numbers = pc.add(values.cast(pa.float64(), safe=False), 0.0)  # no negative zero: its text is "0"
        typed = pc.if_else(pc.is_valid(texts), _finite(numbers), pa.scalar(None, pa.float64()))
    elif kind is ColumnType.NUMBER:
        nothing = pc.is_in(pc.utf8_lower(texts), pa.array(sorted(_NOT_A_NUMBER)))
        texts = pc.if_else(nothing, pa.scalar(None, pa.string()), texts)
        typed = _numbers(texts)
    else:
        typed = _few(texts, kind)
    coded = pa.DictionaryArray.from_arrays(column.indices, typed)
    if typed.null_count == texts.null_count:
        return TypedColumn(coded, None, "")
    wrong = pc.and_(pc.is_null(typed), pc.is_valid(texts))
    bad = pc.fill_null(wrong.take(column.indices), False).to_numpy(zero_copy_only=False)
    return TypedColumn(coded, bad if bad.any() else None, EXPECTED[kind])


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


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _numbers(texts: pa.Array) -> pa.Array:
    try:
        numbers = texts.cast(pa.float64())
    except pa.ArrowInvalid:
        fits = pc.match_substring_regex(texts, NUMBER_PATTERN)
        numbers = pc.if_else(fits, texts, pa.scalar(None, pa.string())).cast(pa.float64())
    return _finite(numbers)


def _finite(numbers: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))


def _few(texts: pa.Array, kind: ColumnType) -> pa.Array:
    """Return whole numbers or truths."""
    if kind is ColumnType.BOOLEAN:
        return pa.array([None if t is None else TRUTHS.get(t.lower()) for t in texts.to_pylist()], pa.bool_())
    fits = pc.match_substring_regex(texts, INTEGER_PATTERN)
    whole = pc.replace_substring_regex(texts, r"^\+|\.0*$", "")
    fits = pc.and_(fits, pc.less_equal(pc.utf8_length(pc.utf8_ltrim(whole, characters="-0")), _DIGITS))
    return pc.if_else(fits, whole, pa.scalar(None, pa.string())).cast(pa.int64())
