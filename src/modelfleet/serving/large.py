"""What is larger than a message may be: the message carries its hash, size and beginning, the whole goes to storage."""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.chunk_answer import AnyAnswer
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place

PREFIX = 1000
"""So much of the original stays in the message: bytes, or characters where it is text."""


class LargeLetters:
    """A folder of whole dead letters, each named after its hash, so that one that is written again is one file.

    Args:
        folder: On this machine, made if it is not there, or below a bucket.

    Raises:
        InputError: It is a URL, but not of a bucket.
    """

    def __init__(self, folder: str | Place) -> None:
        self._folder = str(folder).rstrip("/")
        self._store = open_store(folder)

    def keep(self, content: bytes) -> tuple[str, str]:
        """Write what is not there yet, durably.

        Returns:
            Its path or URL, and its sha256 as hexadecimal digits.

        Raises:
            OSError: The folder, or the bucket, cannot be written.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        name = f"{sha256}.json"
        with suppress(FileExistsError):
            self._store.create(name, content)
        return f"{self._folder}/{name}", sha256


def fitting(letter: DeadLetter, limit: int, large: LargeLetters) -> bytes:
    """Return a dead letter as a message of at most ``limit`` bytes.

    One that is larger is kept whole, as the line of JSON it is, and what is returned says where; its ``original``
    and ``entity`` are cut.

    Args:
        letter: The dead letter.
        limit: Bytes of key and value together.
        large: Where the whole is kept.
    """
    whole = letter.to_json().encode()
    if len(whole) <= limit:
        return whole
    path, sha256 = large.keep(whole)
    most = min(PREFIX, limit // 40)  # a character may take twelve bytes in JSON
    original = (
        letter.original[:most]
        if letter.encoding == "text"
        else base64.b64encode(letter.original_bytes()[:most]).decode("ascii")
    )
    short = replace(
        letter,
        reason=letter.reason[:most],
        original=original,
        entity=None if letter.entity is None else letter.entity[:most],
        whole=path,
        whole_bytes=len(whole),
        whole_sha256=sha256,
    )
    return short.to_json().encode()


def unsendable(answer: AnyAnswer, message: bytes, limit: int) -> DeadLetter:
    """Return the dead letter for an answer that no message can hold; the answer is its original.

    Args:
        answer: The answer.
        message: What would be sent.
        limit: Bytes a message may have.
    """
    return DeadLetter.of(
        message,
        reason=f"the answer has {len(message)} bytes, more than the {limit} that a message may have",
        stage="write",
        now=datetime.now(UTC),
        request_id=answer.request_id,
        entity=answer.entity if isinstance(answer, Answer) else None,
        generation=answer.generation,
    )
