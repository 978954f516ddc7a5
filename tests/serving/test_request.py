"""Whatever the bytes are, a line is a request or a dead letter that says why and gives the bytes back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.message import read_message
from modelfleet.serving.request import MAX_DEPTH, BadRequestError, Request, parse_request

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def line(**changes: object) -> bytes:
    document = {"request_id": "r-1", "event_time": "2026-01-31T12:00:00+02:00", "row": {"age": 39}} | changes
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def reason(data: bytes) -> str:
    with pytest.raises(BadRequestError) as caught:
        parse_request(data)
    return caught.value.reason


def test_a_request_is_read() -> None:
    request = parse_request(line(row={"age": 39, "sex": None, "tags": ["a"]}) + b"\r\n")
    assert request.request_id == "r-1"
    assert request.row == {"age": 39, "sex": None, "tags": ["a"]}
    assert request.event_time == datetime(2026, 1, 31, 10, tzinfo=UTC)
    assert request.original == line(row={"age": 39, "sex": None, "tags": ["a"]})


def test_a_request_may_leave_out_its_time_and_a_time_without_zone_is_utc() -> None:
    assert parse_request(line(event_time=...)).event_time is None
    assert parse_request(line(event_time="2026-01-31T12:00:00")).event_time == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"{", "is not JSON"),
        (b"\xef\xbb\xbf{}", "is not JSON"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"[1]", "a request is a JSON object, but this is a list"),
        (b"null", "this is null"),
        (b'{"request_id": "a", "row": {"x": NaN}}', "NaN, which is not JSON"),
        (b'{"request_id": "a", "row": {"x": -Infinity}}', "-Infinity, which is not JSON"),
        (b'{"request_id": "a", "row": {"x": 1e999}}', "1e999 is too large"),
        (b'{"request_id": "a", "row": {"x": 1' + b"0" * 5000 + b"}}", "cannot be read|can be read"),
        (b'{"request_id": "a", "row": {"x": 1, "x": 2}}', 'key "x" is there twice'),
        (b'{"request_id": "a", "row": {"x": "\\udcff"}}', "surrogate"),
        (b"[" * 100_000, f"deeper than {MAX_DEPTH} levels"),
        (line(row={"x": [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}), f"deeper than {MAX_DEPTH} levels"),
        (line(request_id=...), "request_id is missing"),
        (line(request_id=7), "request_id must be a text, but is a number: 7"),
        (line(request_id=""), "1 to 256 characters, but has 0"),
        (line(request_id="x" * 257), "but has 257"),
        (line(row=...), "row is missing"),
        (line(row=[1]), "row must be an object from column to value, but is a list"),
        (line(event_time=12), "event_time must be an ISO 8601 text, but is a number: 12"),
        (line(event_time="yesterday"), 'not an ISO 8601 time: "yesterday"'),
        (line(event_time="0001-01-01T00:00:00+23:59"), "not an ISO 8601 time"),
    ],
)
def test_each_thing_that_is_wrong_is_named(data: bytes, says: str) -> None:
    assert any(part in reason(data) for part in says.split("|"))


def test_a_long_line_is_refused_unread() -> None:
    with pytest.raises(BadRequestError, match="has 101 bytes, more than the limit of 100"):
        parse_request(b"x" * 101, max_bytes=100)


def test_many_keys_of_which_the_last_is_there_twice_are_told_quickly() -> None:
    keys = ",".join(f'"{i}":0' for i in range(60_000))
    assert "is there twice" in reason(f'{{"request_id":"a","row":{{{keys},"59999":1}}}}'.encode())


def test_the_id_survives_where_only_the_rest_is_wrong() -> None:
    letter = read_message(line(row=None), now=NOW)
    assert isinstance(letter, DeadLetter)
    assert (letter.request_id, letter.stage, letter.time) == ("r-1", "parse", NOW.isoformat())


@given(st.binary(max_size=300) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_a_request_or_a_dead_letter_with_those_bytes(data: bytes) -> None:
    result = read_message(data, now=NOW)
    if isinstance(result, DeadLetter):
        assert result.reason
        assert result.original_bytes() == data.rstrip(b"\r\n")
        assert DeadLetter.from_json(result.to_json()) == result
    else:
        assert isinstance(result, Request)


@given(st.text(max_size=50))
def test_any_text_is_a_request_or_a_dead_letter(text: str) -> None:
    assert isinstance(read_message(text, now=NOW), Request | DeadLetter)


@given(
    st.dictionaries(st.sampled_from(["request_id", "event_time", "row", "other"]), JSON, max_size=4).map(
        lambda document: json.dumps(document).encode()
    )
)
def test_anything_in_the_known_keys_is_a_request_or_a_dead_letter(data: bytes) -> None:
    assert isinstance(read_message(data, now=NOW), Request | DeadLetter)


def test_an_answer_is_one_line_and_is_read_back() -> None:
    answer = Answer("r\n1", "income", "Zürich\u2028", ">50K", 0.75, 3, "entity", None, NOW.isoformat(), "p")
    assert "\n" not in answer.to_json()
    assert answer.to_json().isascii()
    assert Answer.from_json(answer.to_json()) == answer


def test_an_answer_of_a_later_version_is_read() -> None:
    answer = Answer("r", "income", "a", 1.5, None, 3, "pooled", None, NOW.isoformat(), "p")
    later = json.dumps(json.loads(answer.to_json()) | {"arm": "canary"})
    assert Answer.from_json(later) == answer
