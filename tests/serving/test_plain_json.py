"""The quick way to read a request never says anything else than the careful one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.serving.plain_json import plain_columns, plain_request

VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
ROWS = st.dictionaries(st.text(), VALUES, max_size=6)


@given(st.text(), ROWS, st.booleans(), st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " :\n")]))
def test_what_it_reads_is_what_json_reads(request_id: str, row: dict, ascii_only: bool, between) -> None:
    document = {"request_id": request_id, "row": row}
    line = json.dumps(document, ensure_ascii=ascii_only, separators=between).encode("utf-8", "surrogatepass")
    found = plain_request(line)
    assert found is None or (found == document and json.dumps(found) == json.dumps(document))


@given(
    st.text(),
    st.dictionaries(st.text(), st.lists(VALUES, max_size=4), max_size=4),
    st.booleans(),
    st.sampled_from([(", ", ": "), (",", ":"), (" ,\t", " :\n")]),
)
def test_columns_it_reads_are_what_json_reads(request_id: str, columns: dict, ascii_only: bool, between) -> None:
    document = {"request_id": request_id, "columns": columns}
    line = json.dumps(document, ensure_ascii=ascii_only, separators=between).encode("utf-8", "surrogatepass")
    found = plain_columns(line)
    assert found is None or (found == document and json.dumps(found) == json.dumps(document))


def test_the_usual_columns_are_read() -> None:
    columns = b'{"caf\xc3\xa9:": ["a:b", null], "x": [1.5, 2], "n": [true, null]}'
    line = b'{"request_id": "r:1", "event_time": "2026-01-31T12:00:00Z", "columns": %s}' % columns
    assert plain_columns(line) == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"columns": {"x": [1], "x": [2]}}',
        b'{"columns": {"x": [1]}, "columns": {"x": [2]}}',
        b'{"columns": {"x": ["\\u003a"], "x": [1]}}',
        b'{"columns": {"x": [123456789012345678901]}}',
        b'{"columns": {"x": [null, 1, -123456789012345678901]}}',
        b'{"columns": {"x": [1e999]}}',
        b'{"columns": {"x": [NaN]}}',
        b'{"columns": {"x": [[1]]}}',
        b'{"columns": {"x": [{}]}}',
        b'{"columns": {"x": 1}}',
        b'{"columns": {"x": 1, "y": [1, "["]}}',
        b'{"columns": [1], "row": {}}',
        b'["columns", {}, {}]',
        b"",
    ],
)
def test_columns_that_only_care_can_read_are_left_to_it(line: bytes) -> None:
    assert plain_columns(line) is None


@given(st.binary(max_size=60))
def test_any_bytes_for_columns_are_read_as_json_reads_them_or_not_at_all(middle: bytes) -> None:
    line = b'{"columns": {"b": [%s]}}' % middle
    found = plain_columns(line)
    assert found is None or found == json.loads(line)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_as_json_reads_them_or_not_at_all(middle: bytes) -> None:
    line = b'{"a": {"b": %s}}' % middle
    found = plain_request(line)
    assert found is None or found == json.loads(line)


def test_the_usual_request_is_read() -> None:
    row = b'{"caf\xc3\xa9": "a:b", "x": 1.5, "n": null}'
    line = b'{"request_id": "r:1", "event_time": "2026-01-31T12:00:00Z", "row": %s}' % row
    assert plain_request(line) == json.loads(line)


@pytest.mark.parametrize(
    "line",
    [
        b'{"row": {"x": 1, "x": 2}}',
        b'{"row": {"x": 1}, "row": {"x": 2}}',
        b'{"row": {"x": 1, "x": "\\u003a"}}',
        b'{"row": {"x": 123456789012345678901}}',
        b'{"row": {"x": 1e999}}',
        b'{"row": {"x": NaN}}',
        b'{"row": {"x": "\xff"}}',
        b'{"row": {"x": [1]}}',
        b'{"row": {"x": "{"}}',
        b'{"row": 1}',
        b"[{}]",
        b"{}",
        b"",
    ],
)
def test_what_only_care_can_tell_is_left_to_it(line: bytes) -> None:
    assert plain_request(line) is None
