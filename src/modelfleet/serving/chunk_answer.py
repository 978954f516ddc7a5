"""What comes out for a chunk: one answer with a list per field, and a dead letter for each row that has none."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelfleet.serving.answer import Answer, DeadLetter, ascii_json, known_fields
from modelfleet.serving.arrow_answer import ArrowAnswer, is_arrow
from modelfleet.serving.arrow_predict import predict_arrow
from modelfleet.serving.chunk_predict import predict_chunks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    import pyarrow as pa

    from modelfleet.serving.answer import ServedBy
    from modelfleet.serving.chunk import Chunk
    from modelfleet.serving.chunk_predict import PredictedChunk
    from modelfleet.serving.loading import LoadedFleet


@dataclass(frozen=True)
class ChunkAnswer:
    """The predictions of a chunk, in the order of its rows; all of them by one generation.

    Attributes:
        request_id: As in the chunk.
        fleet: Who answered.
        generation: The release that computed every row.
        entity: Key of each row's entity; None where it has none.
        prediction: As in ``Answer``; None where a row has none.
        score: As in ``Answer``.
        served_by: As in ``Answer``; None where a row has no prediction.
        error: Why a row has no prediction; None where it has one.
        event_time: ISO 8601 in UTC, as in the chunk; None where it had none.
        processed_time: ISO 8601 in UTC.
        process: The process that computed it, as its lease names it.
    """

    request_id: str
    fleet: str
    generation: int
    entity: list[str | None]
    prediction: list[str | float | None]
    score: list[float | None]
    served_by: list[ServedBy | None]
    error: list[str | None]
    event_time: str | None
    processed_time: str
    process: str

    @property
    def predictions(self) -> int:
        """Number of rows that have one."""
        return self.error.count(None)

    def to_json(self) -> str:
        """Return one line of JSON, without a line end, in plain ASCII."""
        return ascii_json(vars(self))

    def to_message(self) -> bytes:
        """Return the message that carries it: the line of JSON."""
        return self.to_json().encode()

    @classmethod
    def from_json(cls, line: str | bytes) -> ChunkAnswer:
        """Read what ``to_json`` wrote; keys added by later versions are ignored."""
        return cls(**known_fields(cls, line))


@dataclass(frozen=True)
class ChunkOutcome:
    """What became of a chunk.

    Attributes:
        generation: The release that computed all of it.
        answers: One for all rows, in the form the chunk had, or one for each good row where the rows have ids of
            their own.
        dead_letters: One for each row without a prediction.
    """

    generation: int
    answers: tuple[ChunkAnswer, ...] | tuple[ArrowAnswer, ...] | tuple[Answer, ...]
    dead_letters: tuple[DeadLetter, ...]


def answer_chunks(
    serving: LoadedFleet, chunks: Sequence[Chunk], *, fleet: str, process: str, now: datetime
) -> Iterator[ChunkOutcome]:
    """Answer chunks, one outcome each, in order. Never raises for data; a bad row costs no other.

    Args:
        serving: The models that answer.
        chunks: What is asked.
        fleet: The fleet's name.
        process: This process's name.
        now: The time, with a time zone.
    """
    as_arrow = [chunk for chunk in chunks if chunk.table is not None]
    as_values = [chunk for chunk in chunks if chunk.table is None]
    batches = iter(predict_arrow(serving, as_arrow))
    lists = iter(predict_chunks(serving, as_values))
    for chunk in chunks:
        if chunk.table is None:
            yield _outcome(chunk, next(lists), serving.generation, fleet, process, now)
        else:
            yield _arrow_outcome(chunk, next(batches), serving.generation, fleet, process, now)


def _outcome(
    chunk: Chunk, predicted: PredictedChunk, generation: int, fleet: str, process: str, now: datetime
) -> ChunkOutcome:
    answers = _together if chunk.ids is None else _each
    dead = _dead_letters(chunk, predicted.error, predicted.entity, generation, now)
    return ChunkOutcome(generation, answers(chunk, predicted, generation, fleet, process, now), dead)


def _arrow_outcome(
    chunk: Chunk, rows: pa.RecordBatch, generation: int, fleet: str, process: str, now: datetime
) -> ChunkOutcome:
    event_time = None if chunk.event_time is None else chunk.event_time.isoformat()
    answer = ArrowAnswer(chunk.request_id, fleet, generation, rows, event_time, now.isoformat(), process)
    dead: tuple[DeadLetter, ...] = ()
    if answer.predictions < len(chunk):
        error, entity = rows.column("error").to_pylist(), rows.column("entity").to_pylist()
        dead = _dead_letters(chunk, error, entity, generation, now)
    return ChunkOutcome(generation, (answer,), dead)


def _dead_letters(
    chunk: Chunk, error: Sequence[str | None], entity: Sequence[str | None], generation: int, now: datetime
) -> tuple[DeadLetter, ...]:
    return tuple(
        DeadLetter.of(
            chunk.single(position),
            reason=reason,
            stage="predict",
            now=now,
            request_id=chunk.request_id if chunk.ids is None else chunk.ids[position],
            entity=entity[position],
            generation=generation,
            row=position if chunk.ids is None else None,
        )
        for position, reason in enumerate(error)
        if reason is not None
    )


def _together(
    chunk: Chunk, predicted: PredictedChunk, generation: int, fleet: str, process: str, now: datetime
) -> tuple[ChunkAnswer, ...]:
    answer = ChunkAnswer(
        request_id=chunk.request_id,
        fleet=fleet,
        generation=generation,
        entity=predicted.entity,
        prediction=predicted.prediction,
        score=predicted.score,
        served_by=predicted.served_by,
        error=predicted.error,
        event_time=None if chunk.event_time is None else chunk.event_time.isoformat(),
        processed_time=now.isoformat(),
        process=process,
    )
    return (answer,)


def _each(
    chunk: Chunk, predicted: PredictedChunk, generation: int, fleet: str, process: str, now: datetime
) -> tuple[Answer, ...]:
    processed = now.isoformat()
    rows = zip(
        chunk.ids or (), chunk.times or (), predicted.entity, predicted.prediction, predicted.score,
        predicted.served_by, strict=True,
    )  # fmt: skip
    return tuple(
        Answer(
            request_id=request_id,
            fleet=fleet,
            entity=entity,
            prediction=prediction,
            score=score,
            generation=generation,
            served_by=served_by,
            event_time=None if time is None else time.isoformat(),
            processed_time=processed,
            process=process,
        )
        for request_id, time, entity, prediction, score, served_by in rows
        if entity is not None and prediction is not None and served_by is not None
    )


AnyAnswer = Answer | ChunkAnswer | ArrowAnswer
"""What an answer may be: to a single request, to a chunk, to a chunk that came as an Arrow IPC stream."""


def read_answer(message: str | bytes) -> AnyAnswer:
    """Read a message, or a line, of the answers, whichever it is."""
    if isinstance(message, bytes) and is_arrow(message):
        return ArrowAnswer.from_message(message)
    document: dict[str, Any] = json.loads(message)
    return (ChunkAnswer if isinstance(document["prediction"], list) else Answer).from_json(message)
