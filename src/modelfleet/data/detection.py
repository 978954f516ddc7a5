"""The type that fits every value of a column."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from modelfleet.data.typed import NUMBER_PATTERN, TRUTHS, is_missing
from modelfleet.spec.data import ColumnType

_WHOLE = r"^[+-]?\d+$"
_DATE = r"^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ]\d{1,2}:\d{2}.*)?$"
_COMPACT_DATE = r"^(19|20)\d{2}(0[1-9]|1[0-2])([0-2]\d|3[01])$"
_DATE_NAME = re.compile(r"date|day|time|_at$|_on$", re.I)


def type_of(name: str, arrow: pa.DataType, values: pa.Array) -> ColumnType:  # noqa: PLR0911 - one rule per return
    """Return the type that fits every one of the distinct values present."""
    if pa.types.is_date(arrow) or pa.types.is_timestamp(arrow):
        return ColumnType.DATE
    if pa.types.is_temporal(arrow) or pa.types.is_nested(arrow):
        return ColumnType.TEXT
    if pa.types.is_boolean(arrow):
        return ColumnType.BOOLEAN
    if not len(values):
        return ColumnType.TEXT
    if _all(values, _WHOLE):
        if _DATE_NAME.search(name) and _all(values, _COMPACT_DATE):
            return ColumnType.DATE
        padded = bool(pc.any(pc.match_substring_regex(values, r"^0\d")).as_py())  # a code such as 007
        return ColumnType.INTEGER if not padded and _fits_int64(values) else ColumnType.CATEGORY
    if _all(values, NUMBER_PATTERN):
        return ColumnType.NUMBER
    if len(values) == 2 and {v.lower() for v in values.to_pylist()} <= TRUTHS.keys() - {"0", "1"}:
        return ColumnType.BOOLEAN
    if _all(values, _DATE):
        return ColumnType.DATE
    return ColumnType.CATEGORY


def _all(values: pa.Array, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(values, pattern)).as_py())


def present_values(values: pa.Array, missing: Sequence[str]) -> pa.Array:
    """Return the distinct values that do not mean "no value"."""
    return values.filter(pc.invert(is_missing(values, missing)))


def is_number(arrow: pa.DataType) -> bool:
    """Return whether a file says itself that a column is numbers."""
    return bool(pa.types.is_integer(arrow) or pa.types.is_floating(arrow) or pa.types.is_decimal(arrow))


def _fits_int64(values: pa.Array) -> bool:
    return bool(pc.max(pc.utf8_length(values)).as_py() <= 18)
