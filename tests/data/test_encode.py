"""Encoding: a prepared table, a raw table and a request give the models the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.data.encode import encode_columns, encode_raw_table, encode_records, encode_table
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.errors import DataError
from modelfleet.spec import ColumnType, Task

SCHEMA = Schema(
    entity=("key",),
    target="y",
    task=Task.BINARY,
    classes=("no", "yes"),
    features=(
        Feature(name="c", type=ColumnType.CATEGORY, levels=("7", "b", "é")),
        Feature(name="x", type=ColumnType.NUMBER),
        Feature(name="i", type=ColumnType.INTEGER),
        Feature(name="t", type=ColumnType.BOOLEAN),
    ),
    missing=("?",),
)


def test_a_prepared_table() -> None:
    table = pa.table(
        {
            "t": pa.array([True, False, None]),
            "c": pa.array(["b", "zzz", None]).dictionary_encode(),
            "x": pa.array([1.5, None, -2.0]),
            "i": pa.array([1, None, 2**60]),
            "unused": ["a", "b", "c"],
        }
    )
    encoded = encode_table(SCHEMA, table)
    assert encoded.codes.tolist() == [[2], [-1], [0]]
    np.testing.assert_array_equal(encoded.numbers, [[1.5, 1, 1], [np.nan, np.nan, 0], [-2, 2.0**60, np.nan]])
    assert encoded.codes.dtype == np.int32
    assert encoded.numbers.flags.c_contiguous
    assert encode_table(SCHEMA, table.slice(1, 1)).codes.tolist() == [[-1]]
    assert len(encode_table(SCHEMA, table.slice(0, 0))) == 0


def test_requests() -> None:
    rows = [
        {"c": "é ", "x": 2, "i": 3, "t": True, "unused": object()},
        {"c": 7, "x": "2.5", "i": "3.0", "t": "no"},
        {"c": None, "x": None, "i": "", "t": "?"},
        {"c": "?", "x": math.nan, "i": 4.0, "t": 1},
    ]
    encoded, errors = encode_records(SCHEMA, rows)
    assert not errors
    assert encoded.codes.tolist() == [[3], [1], [0], [0]]
    nan = np.nan
    np.testing.assert_array_equal(encoded.numbers, [[2, 3, 1], [2.5, 3, 0], [nan, nan, nan], [nan, 4, 1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": "abc"}, "column 'x' is 'abc': expected a number"),
        ({"x": float("inf")}, "column 'x' is inf: expected a number"),
        ({"x": True}, "column 'x' is True: expected a number"),
        ({"x": [1]}, r"column 'x' is \[1\]: expected a number"),
        ({"i": 1.5}, "column 'i' is 1.5: expected a whole number"),
        ({"i": 10**40}, "column 'i' is 1000.*: expected a whole number"),
        ({"t": "perhaps"}, "column 't' is 'perhaps': expected true or false"),
        ({"x": "9" * 10_000}, "column 'x' is '9999.*…: expected a number"),
        ({"x": ...}, "column 'x' is Ellipsis"),
    ],
)
def test_a_bad_value_spoils_its_own_row_only(change: dict[str, object], message: str) -> None:
    good = {"c": "b", "x": 1, "i": 1, "t": True}
    encoded, errors = encode_records(SCHEMA, [good, good | change, good])
    assert list(errors) == [1]
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(errors[1])
    assert len(errors[1]) < 200
    assert encoded.codes.tolist() == [[2], [0], [2]]


def test_an_absent_column_is_an_error_and_names_the_nearest() -> None:
    _, errors = encode_records(SCHEMA, [{"c": "b", "X": 1, "i": 1, "t": 1}, {}])
    assert errors[0].startswith("the row has no column 'x'")
    assert errors[1] == "the row has no column 'c'"
    with pytest.raises(DataError, match="the rows have no column 'c'"):
        encode_table(SCHEMA, pa.table({"x": [1.0]}))


DEFAULTS = {"c": "b", "x": 1.5, "i": "", "t": False}
GROWN = SCHEMA.model_copy(
    update={"features": tuple(f.model_copy(update={"default": DEFAULTS[f.name]}) for f in SCHEMA.features)}
)
"""The schema of a fleet whose every feature some producers do not send yet."""


def test_an_absent_column_has_its_default_and_null_stays_missing() -> None:
    here = {"c": "é", "x": 2.0, "i": 3, "t": True}
    for absent in here:
        rows = [{name: value for name, value in here.items() if name != absent}] * 2
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        encoded = [
            encode_records(GROWN, rows)[0],
            encode_columns(GROWN, columns, 2)[0],
            encode_raw_table(GROWN, pa.table(columns))[0],
        ]
        [expected] = _lists(encode_records(SCHEMA, [here | {absent: DEFAULTS[absent]}])[0])
        for found in encoded:
            assert _lists(found) == [expected] * 2
    nulls = [dict.fromkeys(here)]
    assert _lists(encode_records(GROWN, nulls)[0]) == _lists(encode_records(SCHEMA, nulls)[0])
    assert _lists(encode_columns(GROWN, {name: [None] for name in here}, 1)[0]) == _lists(
        encode_records(SCHEMA, nulls)[0]
    )


def _lists(encoded: EncodedRows) -> list[list[str]]:
    return [[str(v) for v in (*c, *n)] for c, n in zip(encoded.codes, encoded.numbers, strict=True)]


def test_a_default_is_part_of_the_schema_and_its_absence_leaves_old_fingerprints_alone() -> None:
    assert SCHEMA.fingerprint == "6ca7b4779617ef2ae249447d5552e53590652ce196b9a287aff2e97c87dec5ce"
    assert GROWN.fingerprint != SCHEMA.fingerprint
    for schema in (SCHEMA, GROWN):
        again = Schema.model_validate_json(schema.model_dump_json())
        assert (again, again.fingerprint) == (schema, schema.fingerprint)


CELLS = {
    "c": st.sampled_from(["b", " b", "7", "é", "other", "", "?"]),
    "x": st.sampled_from(["1", "-2.5e3", "abc", "", "?", "nan", "inf"]),
    "i": st.sampled_from(["1", "+2", "3.0", "4.5", "", "?", "1e3", "9" * 19]),
    "t": st.sampled_from(["true", "N", "1", "2", "", "?"]),
}


@given(st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=8))
def test_files_and_requests_agree(rows: list[dict[str, str]]) -> None:
    from_file, file_errors = encode_raw_table(SCHEMA, pa.Table.from_pylist(rows))
    from_requests, request_errors = encode_records(SCHEMA, rows)
    assert file_errors.keys() == request_errors.keys()
    good = [i for i in range(len(rows)) if i not in file_errors]
    np.testing.assert_array_equal(from_file.codes[good], from_requests.codes[good])
    np.testing.assert_array_equal(from_file.numbers[good], from_requests.numbers[good])
    if file_errors:
        with pytest.raises(DataError, match=r"row [0-9]+: column"):
            encode_table(SCHEMA, pa.Table.from_pylist(rows))


def test_a_file_with_typed_columns_of_another_kind() -> None:
    table = pa.table({"c": [7, 8], "x": pa.array([1, 2], pa.int8()), "i": [1.0, None], "t": [1, 0]})
    encoded, errors = encode_raw_table(SCHEMA, table)
    assert not errors
    assert encoded.codes.tolist() == [[1], [-1]]
    np.testing.assert_array_equal(encoded.numbers, [[1, 1, 1], [2, np.nan, 0]])
    _, errors = encode_raw_table(SCHEMA, table.set_column(2, "i", pa.array([1.5, 2.0])))
    assert list(errors) == [0]
    _, errors = encode_raw_table(SCHEMA, table.set_column(3, "t", pa.array([3, 0])))
    assert list(errors) == [0]
