"""What comes to the streaming job as one message: a request or a chunk, in JSON or as an Arrow IPC stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.arrow_answer import is_arrow
from modelfleet.serving.arrow_chunk import arrow_chunk
from modelfleet.serving.chunk import Chunk, parse_line
from modelfleet.serving.request import MAX_BYTES, BadRequestError, Request

if TYPE_CHECKING:
    from datetime import datetime


def parse_message(message: bytes | str, *, max_bytes: int = MAX_BYTES) -> Request | Chunk:
    """Read one message; its first bytes say what it is.

    Args:
        message: One line of JSON, with or without its line end, or an Arrow IPC stream.
        max_bytes: Longer ones are refused unread.

    Raises:
        BadRequestError: It is no request; never any other exception, whatever the bytes.
    """
    if isinstance(message, bytes) and is_arrow(message):
        return arrow_chunk(message, max_bytes=max_bytes)
    return parse_line(message, max_bytes=max_bytes)


def read_message(message: bytes | str, *, now: datetime) -> Request | Chunk | DeadLetter:
    """Read one message; whatever the bytes are, the outcome is a request, a chunk or a dead letter.

    Args:
        message: As for ``parse_message``.
        now: The time written into a dead letter, with a time zone.
    """
    try:
        return parse_message(message)
    except BadRequestError as error:
        original = message if isinstance(message, bytes) else message.encode("utf-8", "surrogatepass")
        if not is_arrow(original):
            original = original.rstrip(b"\r\n")
        return DeadLetter.of(original, reason=error.reason, stage="parse", now=now, request_id=error.request_id)
