"""What comes out of serving: an answer, or a dead letter that says why there is none."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import orjson

if TYPE_CHECKING:
    from datetime import datetime

ServedBy = Literal["entity", "pooled"]
Stage = Literal["parse", "predict", "write"]


@dataclass(unsafe_hash=True)  # frozen, each would cost ten times as much to make
class Answer:
    """One prediction; not to be changed.

    Attributes:
        request_id: As in the request.
        fleet: Who answered.
        entity: Key of the row's entity.
        prediction: The class label, or the number for regression.
        score: For ``binary`` the probability of the second class, for ``multiclass`` that of the predicted class,
            None for regression.
        generation: The release that computed it.
        served_by: ``entity`` for the entity's own model, ``pooled`` for the fleet's.
        event_time: ISO 8601 in UTC, as in the request; None where it had none.
        processed_time: ISO 8601 in UTC.
        process: The process that computed it, as its lease names it.
    """

    request_id: str
    fleet: str
    entity: str
    prediction: str | float
    score: float | None
    generation: int
    served_by: ServedBy
    event_time: str | None
    processed_time: str
    process: str

    @property
    def predictions(self) -> int:
        """Number of rows that have one: one, as a chunk's answer may have many."""
        return 1

    def to_json(self) -> str:
        """Return one line of JSON, without a line end, in plain ASCII."""
        return ascii_json(vars(self))

    def to_message(self) -> bytes:
        """Return the message that carries it: the line of JSON."""
        return self.to_json().encode()

    @classmethod
    def from_json(cls, line: str | bytes) -> Answer:
        """Read what ``to_json`` wrote; keys added by later versions are ignored."""
        return cls(**known_fields(cls, line))


@dataclass(frozen=True)
class DeadLetter:
    """A request that could not be answered.

    Attributes:
        reason: One sentence: what is wrong, observed against expected.
        stage: Where it failed.
        request_id: None where it could not be read.
        entity: None where it could not be read.
        original: The request as it came: text, or base64 where it is not UTF-8.
        encoding: ``text`` or ``base64``: what ``original`` is.
        generation: The release that was asked; None before a release was involved.
        time: ISO 8601 in UTC.
        row: Position of the row in its chunk, whose id ``request_id`` then is; ``original`` is a single request for
            that row alone. None for a whole request.
        whole: Where the whole dead letter lies, as a line of JSON, if it is larger than a message may be; then this
            one has only the beginning of ``original`` and ``entity``. None where this is the whole.
        whole_bytes: The whole one's size; None where this is the whole.
        whole_sha256: The whole one's hash, as hexadecimal digits; None where this is the whole.
    """

    reason: str
    stage: Stage
    request_id: str | None
    entity: str | None
    original: str
    encoding: Literal["text", "base64"]
    generation: int | None
    time: str
    row: int | None = None
    whole: str | None = None
    whole_bytes: int | None = None
    whole_sha256: str | None = None

    @classmethod
    def of(
        cls,
        original: bytes,
        *,
        reason: str,
        stage: Stage,
        now: datetime,
        request_id: str | None = None,
        entity: str | None = None,
        generation: int | None = None,
        row: int | None = None,
    ) -> DeadLetter:
        """Return the dead letter for the bytes of a request; they can be had back by ``original_bytes``."""
        encoding: Literal["text", "base64"] = "text"
        try:
            text = original.decode("utf-8")
        except UnicodeDecodeError:
            text, encoding = base64.b64encode(original).decode("ascii"), "base64"
        return cls(reason, stage, request_id, entity, text, encoding, generation, now.isoformat(), row)

    def original_bytes(self) -> bytes:
        """Return the request byte for byte, so that it can be sent again."""
        return base64.b64decode(self.original) if self.encoding == "base64" else self.original.encode("utf-8")

    def to_json(self) -> str:
        """Return one line of JSON, without a line end, in plain ASCII."""
        return json.dumps(vars(self), allow_nan=False)

    @classmethod
    def from_json(cls, line: str | bytes) -> DeadLetter:
        """Read what ``to_json`` wrote; keys added by later versions are ignored."""
        return cls(**known_fields(cls, line))


def ascii_json(document: dict[str, Any]) -> str:
    """Return one line of JSON in plain ASCII; every number in it must be finite."""
    line = orjson.dumps(document)  # thirty times as fast as json, but writes other letters as they are
    return line.decode() if line.isascii() else json.dumps(document, allow_nan=False)


def known_fields(of: type[Any], line: str | bytes) -> dict[str, Any]:
    """Return the values of a line's keys that are fields of a dataclass."""
    document = json.loads(line)
    # One that is absent has its default: the line is older than the field
    return {name: document[name] for name in of.__dataclass_fields__ if name in document}
