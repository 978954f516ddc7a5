"""The quick way to read a request, for the usual kinds of it; whatever is unusual is left to the careful way.

``json`` with its hooks tells what is wrong with a request, and takes ten times as long as orjson, which passes over
keys that are there twice and makes floats of whole numbers beyond 64 bits. So orjson's result is taken only where it
can be seen that the careful way would have had the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

LARGEST_EXACT = 2.0**63
"""A float of this size may have been a whole number."""


def plain_request(line: bytes) -> dict[str, Any] | None:
    """Read a line that holds one flat row, or say that it must be read with care.

    Args:
        line: One line, not longer than a request may be.

    Returns:
        What ``json.loads`` would return, if the line is an object that holds plain values and one object of plain
        values, with no key twice, no escape, and no number beyond 64 bits; None for any other line, right or wrong.
    """
    if line.count(b"{") != 2 or b"[" in line or b"\\" in line:
        return None
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    inner = document.get("row")
    if type(inner) is not dict:
        inner = next((value for value in document.values() if isinstance(value, dict)), None)
    if inner is None or not _keys_once(line, document, inner):
        return None
    exact = all(
        -LARGEST_EXACT < value < LARGEST_EXACT
        for part in (inner, document)
        for value in part.values()
        if type(value) is float
    )
    return document if exact else None


def plain_columns(line: bytes) -> dict[str, Any] | None:
    """Read a line that holds columns, or say that it must be read with care.

    Args:
        line: One line, not longer than a request may be.

    Returns:
        What ``json.loads`` would return, if the line is an object that holds plain values and ``columns``, an object
        of lists of plain values, with no key twice, no escape, and no number beyond 64 bits; None for any other line,
        right or wrong.
    """
    if line.count(b"{") != 2 or b'"columns"' not in line or b"\\" in line:
        return None
    try:
        document: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    columns = document.get("columns") if isinstance(document, dict) else None
    if not isinstance(columns, dict) or any(type(values) is not list for values in columns.values()):
        return None
    flat = line.count(b"[") == len(columns)
    return document if flat and _keys_once(line, document, columns) and _exact(columns.values()) else None


def _keys_once(line: bytes, document: dict[str, Any], inner: dict[str, Any]) -> bool:
    """Return whether no key is there twice.

    Without escapes every colon of the line is in a text or ends a key: one too many, and a key was there twice. So it
    is enough to have found as many as there are, wherever they are.
    """
    left = line.count(b":") - len(document) - len(inner)
    time = document.get("event_time")
    if left == (time.count(":") if type(time) is str else 0):  # the only text that usually has some
        return True
    left -= sum(name.count(":") for part in (document, inner) for name in part)
    left -= sum(value.count(":") for part in (document, inner) for value in part.values() if type(value) is str)
    if left:  # only now, as it takes the longest
        left -= sum(
            value.count(":")
            for values in inner.values()
            if type(values) is list
            for value in values
            if type(value) is str
        )
    return left == 0


def _exact(columns: Iterable[list[Any]]) -> bool:
    """Return whether no float may have been a whole number beyond 64 bits."""
    for values in columns:
        kinds = set(map(type, values))
        if float in kinds:
            numbers = values if kinds <= {float, int} else [value for value in values if type(value) is float]
            if not (min(numbers) > -LARGEST_EXACT and max(numbers) < LARGEST_EXACT):
                return False
    return True
