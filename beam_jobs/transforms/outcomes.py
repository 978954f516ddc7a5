"""What RunInference returns, taken apart: answers with their event time, and dead letters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from beam_jobs.handlers.beam_inference import PredictionResult
from beam_jobs.transforms.release_signal import NAMESPACE
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk_answer import AnyAnswer, ChunkOutcome
from modelfleet.serving.request_pack import PackOutcome

DEAD = "dead"

EVERYTHING = (GlobalWindow(),)
"""The only window there is. A ``TimestampedValue`` would have Beam make it anew for every answer, at the price of
parsing one."""


class _TakeApart(beam.DoFn):
    def __init__(self, together: bool) -> None:
        self._together = together
        self._generation: int | None = None
        self._predictions = 0
        self._answered = Metrics.counter(NAMESPACE, "answered")
        self._swaps = Metrics.counter(NAMESPACE, "swaps_seen")

    def process(self, element: PredictionResult) -> Iterator[Any]:
        outcome = element.inference
        if isinstance(outcome, DeadLetter):
            yield beam.pvalue.TaggedOutput(DEAD, outcome)
            return
        answers: Sequence[AnyAnswer] = (outcome,)
        if isinstance(outcome, ChunkOutcome | PackOutcome):
            answers = outcome.answers
            for letter in outcome.dead_letters:
                yield beam.pvalue.TaggedOutput(DEAD, letter)
        if self._generation is not None and outcome.generation != self._generation:
            self._swaps.inc()
        self._generation = outcome.generation
        self._predictions += sum(answer.predictions for answer in answers)
        if not self._together:
            for answer in answers:
                yield WindowedValue(answer, _time_of(answer), EVERYTHING)
        elif answers:
            together = PackOutcome(outcome.generation, tuple(answers), ())
            yield WindowedValue(together, min(map(_time_of, answers)), EVERYTHING)

    def finish_bundle(self) -> None:
        self._answered.inc(self._predictions)  # once: counting each costs as much as parsing it
        self._predictions = 0


class Outcomes(beam.PTransform):
    """Prediction results in; answers and dead letters out.

    RunInference batches, and a batch has the timestamp of its window's end: the answer's own event time is put back
    here, from the payload. An answer without one gets the time it was computed.

    Args:
        together: Whether the answers of a pack or a chunk stay one element, a ``PackOutcome`` with no dead letter, with
            the earliest of their times: for a sink that looks at each answer itself.
    """

    def __init__(self, *, together: bool = False) -> None:
        super().__init__()
        self._together = together

    def expand(
        self, pcoll: beam.PCollection[PredictionResult]
    ) -> tuple[beam.PCollection[AnyAnswer | PackOutcome], beam.PCollection[DeadLetter]]:
        """Apply to RunInference's output."""
        outputs = pcoll | "Take apart" >> beam.ParDo(_TakeApart(self._together)).with_outputs(DEAD, main="answers")
        return outputs["answers"], outputs[DEAD]


def _time_of(answer: AnyAnswer) -> Timestamp:
    return _timestamp(answer.event_time or answer.processed_time)


@lru_cache(maxsize=256)
def _timestamp(text: str) -> Timestamp:
    """Return an ISO 8601 time as Beam has it; many answers in a row have the same."""
    time = datetime.fromisoformat(text)
    return Timestamp.of(time.replace(tzinfo=UTC).timestamp() if time.tzinfo is None else time.timestamp())
