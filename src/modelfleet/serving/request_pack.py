"""Requests that travel together, and what became of them: one element of a stream for many requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.chunk_answer import AnyAnswer, ChunkOutcome, read_answer
from modelfleet.serving.message import parse_message
from modelfleet.serving.request import Request

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class RequestPack:
    """Requests that came together and are answered together, each as if it had come alone.

    Attributes:
        requests: At least one, each read from a message of its own.
    """

    requests: tuple[Request | Chunk, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the messages: Beam pickles a part of all elements only to see how large they are."""
        return _read_pack, ([request.original for request in self.requests],)


Asked = Request | Chunk | RequestPack
"""What an element of a stream may ask."""


@dataclass(frozen=True)
class PackOutcome:
    """What became of a pack.

    Attributes:
        generation: The release that was asked for all of it.
        answers: In the order of the requests.
        dead_letters: One for each row without a prediction.
    """

    generation: int | None
    answers: tuple[AnyAnswer, ...]
    dead_letters: tuple[DeadLetter, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle messages; see ``RequestPack``."""
        answers = [answer.to_message() for answer in self.answers]
        return _read_outcome, (self.generation, answers, [letter.to_json() for letter in self.dead_letters])

    @classmethod
    def of(cls, outcomes: Sequence[Answer | DeadLetter | ChunkOutcome]) -> PackOutcome:
        """Put the outcomes of a pack's requests, at least one, together in the order of the requests."""
        answers: list[AnyAnswer] = []
        dead_letters: list[DeadLetter] = []
        for outcome in outcomes:
            if isinstance(outcome, Answer):
                answers.append(outcome)
            elif isinstance(outcome, DeadLetter):
                dead_letters.append(outcome)
            else:
                answers += outcome.answers
                dead_letters += outcome.dead_letters
        return cls(outcomes[0].generation, tuple(answers), tuple(dead_letters))


def _read_pack(messages: Sequence[bytes]) -> RequestPack:
    return RequestPack(tuple(map(parse_message, messages)))


def _read_outcome(generation: int | None, answers: Sequence[bytes], dead_letters: Sequence[str]) -> PackOutcome:
    return PackOutcome(generation, tuple(map(read_answer, answers)), tuple(map(DeadLetter.from_json, dead_letters)))
