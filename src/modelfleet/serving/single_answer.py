"""What single requests get: an answer each, or a dead letter that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from modelfleet.serving.answer import Answer, DeadLetter

if TYPE_CHECKING:
    from modelfleet.serving.chunk_predict import PredictedChunk
    from modelfleet.serving.request import Request

_as_text = lru_cache(maxsize=256)(datetime.isoformat)
"""Many requests in a row have the same time."""


def single_answers(
    requests: Sequence[Request],
    predicted: PredictedChunk,
    *,
    fleet: str,
    process: str,
    generation: int,
    now: datetime,
) -> Iterator[Answer | DeadLetter]:
    """Return the outcome of each request, in order.

    Args:
        requests: n of them.
        predicted: Their n rows' results.
        fleet: Who answers.
        process: The process that does.
        generation: The release that predicted.
        now: The time written into each, with a time zone.
    """
    processed = now.isoformat()
    results = zip(
        requests,
        predicted.entity,
        predicted.prediction,
        predicted.score,
        predicted.served_by,
        predicted.error,
        strict=True,
    )
    for request, entity, prediction, score, served_by, error in results:
        if entity is None or prediction is None or served_by is None:
            yield DeadLetter.of(
                request.original,
                reason=error or "there is no prediction",
                stage="predict",
                now=now,
                request_id=request.request_id,
                entity=entity,
                generation=generation,
            )
            continue
        yield Answer(
            request_id=request.request_id,
            fleet=fleet,
            entity=entity,
            prediction=prediction,
            score=score,
            generation=generation,
            served_by=served_by,
            event_time=None if request.event_time is None else _as_text(request.event_time),
            processed_time=processed,
            process=process,
        )
