"""A notice: a few bytes that say that a release is there. It is a hint, never the release: the ledger counts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MAX_BYTES = 4096
"""Longer messages are no notices."""

SEND_SECONDS = 5.0
"""Longest time a notice may take to be sent; whoever promotes waits for it."""


@dataclass(frozen=True)
class Notice:
    """That a fleet has a release of some number.

    Attributes:
        fleet: The fleet's name.
        generation: The release's number.
    """

    fleet: str
    generation: int

    def to_bytes(self) -> bytes:
        """Return the message that is sent."""
        return json.dumps(asdict(self)).encode()


def parse_notice(data: bytes) -> Notice | None:
    """Read a message; None where it is no notice, whatever the bytes. Keys of later versions are passed over."""
    if len(data) > MAX_BYTES:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    fleet, generation = document.get("fleet"), document.get("generation")
    if not isinstance(fleet, str) or type(generation) is not int or generation < 1:
        return None
    return Notice(fleet, generation)
