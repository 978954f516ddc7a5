"""A request: one line of JSON that asks for one prediction.

``{"request_id": "r-1", "event_time": "2026-01-31T12:00:00Z", "row": {"age": 39, ...}}``; ``event_time`` may be
absent. Whatever the bytes are, the outcome is a request or one ``BadRequestError`` with the reason. A request for many
rows at once is a chunk (``modelfleet.serving.chunk``).
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from modelfleet.errors import InputError
from modelfleet.serving.plain_json import plain_columns, plain_request

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_BYTES = 1_000_000
"""Largest request, in bytes of the line."""

MAX_DEPTH = 16
"""Deepest nesting of objects and lists; the request is depth 1, its row depth 2."""

MAX_ID = 256
"""Longest ``request_id``, in characters."""

_SHOWN = 80
_NESTED = (dict, list)
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class BadRequestError(InputError):
    """A request that cannot be read.

    Attributes:
        reason: One sentence: what is wrong, observed against expected.
        request_id: Its id, where that much could be read.
    """

    def __init__(self, reason: str, request_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.request_id = request_id


@dataclass  # frozen, each would cost several times as much to make
class Request:
    """One row to predict; not to be changed.

    Attributes:
        request_id: The sender's id; answers are de-duplicated by it.
        row: Column to value, as JSON gave them: None, bool, int, finite float, str, or something nested that no
            feature can use.
        event_time: When it happened, with a time zone; None where the sender said nothing.
        original: The bytes of the line, for the dead letter.
    """

    request_id: str
    row: Mapping[str, Any]
    event_time: datetime | None
    original: bytes


@dataclass
class Envelope:
    """What a request says besides its rows.

    Attributes:
        request_id: As in ``Request``.
        event_time: As in ``Request``.
        document: The whole JSON object.
        original: The bytes of the line.
    """

    request_id: str
    event_time: datetime | None
    document: Mapping[str, Any]
    original: bytes


def parse_request(line: bytes | str, *, max_bytes: int = MAX_BYTES) -> Request:
    """Read one request.

    Args:
        line: One line of JSON, with or without its line end.
        max_bytes: Longer lines are refused unread.

    Raises:
        BadRequestError: The line is not a request; never any other exception, whatever the bytes.
    """
    return single_request(open_envelope(line, max_bytes=max_bytes))


def usual_request(line: bytes, *, max_bytes: int = MAX_BYTES) -> Request | None:
    """Read a request for one row in the quickest way, or say that it must be read with care.

    Returns:
        What the careful way would return; None for anything unusual, right or wrong.
    """
    if len(line) > max_bytes:
        return None
    original = line.rstrip(b"\r\n")
    document = plain_request(original)
    if document is None or "rows" in document or "columns" in document:
        return None
    request_id, row = document.get("request_id"), document.get("row")
    if type(row) is not dict or type(request_id) is not str or not 0 < len(request_id) <= MAX_ID:
        return None
    try:
        return Request(request_id, row, event_time_of(document.get("event_time")), original)
    except BadRequestError:
        return None


def open_envelope(line: bytes | str, *, max_bytes: int = MAX_BYTES) -> Envelope:
    """Read what any request has; see ``parse_request``."""
    original = line if isinstance(line, bytes) else line.encode("utf-8", "surrogatepass")
    original = original.rstrip(b"\r\n")
    check_size(original, max_bytes)
    plain = plain_request(original) or plain_columns(original)
    document = _load(original) if plain is None else plain
    if not isinstance(document, dict):
        raise BadRequestError(f"a request is a JSON object, but this is {kind_of(document)}")
    request_id = _request_id(document)
    try:
        if plain is None:
            _check_depth(document, original)
        event_time = event_time_of(document.get("event_time"))
    except BadRequestError as error:
        raise BadRequestError(error.reason, request_id) from None
    return Envelope(request_id, event_time, document, original)


def check_size(message: bytes, max_bytes: int) -> None:
    """Refuse a message that is too long, before it is read.

    Raises:
        BadRequestError: It has more bytes.
    """
    if len(message) > max_bytes:
        raise BadRequestError(f"the request has {len(message)} bytes, more than the limit of {max_bytes}")


def single_request(envelope: Envelope) -> Request:
    """Return the request for one row; see ``parse_request``."""
    if "row" not in envelope.document:
        reason = "row is missing; it must be an object from column to value (or send rows or columns, for many)"
        raise BadRequestError(reason, envelope.request_id)
    row = envelope.document["row"]
    if not isinstance(row, dict):
        reason = f"row must be an object from column to value, but is {kind_of(row)}"
        raise BadRequestError(reason, envelope.request_id)
    return Request(envelope.request_id, row, envelope.event_time, envelope.original)


def shown(value: object) -> str:
    """Return a value for a message: as JSON, cut after 80 characters."""
    text = json.dumps(value, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _load(original: bytes) -> object:
    try:
        text = original.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(f"the request is not UTF-8 at byte {error.start}") from None
    if not text.strip():
        raise BadRequestError("the request is empty")
    try:
        document: object = json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_unique_keys
        )
        if _SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode("utf-8")
    except BadRequestError:
        raise
    except RecursionError:
        raise BadRequestError(f"the request is nested deeper than {MAX_DEPTH} levels") from None
    except UnicodeEncodeError:
        raise BadRequestError("the request has half of a surrogate pair (\\ud800 to \\udfff) in a text") from None
    except json.JSONDecodeError as error:
        raise BadRequestError(f"the request is not JSON: {error.msg} at character {error.pos}") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise BadRequestError(f"the request is not JSON that can be read: {error}") from None
    return document


def _refuse_constant(name: str) -> float:
    raise BadRequestError(f"the request has {name}, which is not JSON; a missing value is null")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadRequestError(f"the number {text[:_SHOWN]} is too large for a float")
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadRequestError(f"the key {shown(twice)} is there twice; which value is meant is not known")
    return result


def _check_depth(document: object, original: bytes) -> None:
    left = original.count(b"{") + original.count(b"[") - 1  # no more containers than that: most looks end at once
    level: list[object] = [document]
    for _ in range(MAX_DEPTH):
        if left <= 0:
            return
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())
            if isinstance(inner, _NESTED)
        ]
        if not level:
            return
        left -= len(level)
    raise BadRequestError(f"the request is nested deeper than {MAX_DEPTH} levels")


def _request_id(document: Mapping[str, Any]) -> str:
    if "request_id" not in document:
        raise BadRequestError("request_id is missing; it must be a text that is unique per request")
    value = document["request_id"]
    if not isinstance(value, str):
        raise BadRequestError(f"request_id must be a text, but is {kind_of(value)}: {shown(value)}")
    if not value or len(value) > MAX_ID:
        raise BadRequestError(f"request_id must have 1 to {MAX_ID} characters, but has {len(value)}")
    return value


def event_time_of(value: object) -> datetime | None:
    """Return an event time in UTC; None where there is none.

    Raises:
        BadRequestError: It is no ISO 8601 text.
    """
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadRequestError(f"event_time must be an ISO 8601 text, but is {kind_of(value)}: {shown(value)}")
    try:
        return _in_utc(value)
    except (ValueError, OverflowError):
        raise BadRequestError(f"event_time is not an ISO 8601 time: {shown(value)}") from None


@lru_cache(maxsize=256)
def _in_utc(text: str) -> datetime:
    """Many requests in a row have the same time."""
    time = datetime.fromisoformat(text)
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def kind_of(value: object) -> str:
    """Return what a JSON value is, for a message."""
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}
    return kinds.get(type(value), "an object")
