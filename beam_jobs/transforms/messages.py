"""Answers and dead letters as messages, none of them larger than what takes it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics

from beam_jobs.transforms.kafka_writer import Message, TopicLimit
from beam_jobs.transforms.release_signal import NAMESPACE
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk_answer import AnyAnswer
from modelfleet.serving.large import LargeLetters, fitting, unsendable
from modelfleet.serving.request_pack import PackOutcome

TOO_LARGE = "too_large"


class _Limited(beam.DoFn):
    def __init__(self, limit: int | TopicLimit) -> None:
        self._limit = limit

    def limit(self) -> int:
        """Return the limit, asked for at the first message: a broker that is away must not keep a job from starting."""
        if not isinstance(self._limit, int):
            self._limit = self._limit.ask()
        return self._limit


class _FromAnswer(_Limited):
    def process(self, element: AnyAnswer | PackOutcome) -> Iterator[Any]:
        limit = self.limit()
        messages: list[Message] = []
        for answer in element.answers if isinstance(element, PackOutcome) else (element,):
            key, message = answer.request_id.encode("utf-8", "surrogatepass"), answer.to_message()
            if len(key) + len(message) > limit:
                yield beam.pvalue.TaggedOutput(TOO_LARGE, unsendable(answer, message, limit))
            else:
                messages.append((key, message))
        if messages:
            yield messages if isinstance(element, PackOutcome) else messages[0]


class _FromLetter(_Limited):
    def __init__(self, limit: int | TopicLimit, folder: str) -> None:
        super().__init__(limit)
        self._large = LargeLetters(folder)

    def process(self, element: DeadLetter) -> Iterator[Message]:
        Metrics.counter(NAMESPACE, f"dead_letters_{element.stage}").inc()
        key = None if element.request_id is None else element.request_id.encode("utf-8", "surrogatepass")
        if key is not None and element.row is not None:  # rows of a chunk share its id, and must not replace each other
            key += b"#%d" % element.row
        yield key, fitting(element, self.limit() - len(key or b""), self._large)


class AnswerMessages(beam.PTransform):
    """Answers in; messages with the request's id as their key, and dead letters for answers too large for one.

    The messages of answers that are one element are one element.

    Args:
        limit: Most bytes of key and value together.
    """

    def __init__(self, limit: int | TopicLimit) -> None:
        super().__init__()
        self._limit = limit

    def expand(
        self, pcoll: beam.PCollection[AnyAnswer | PackOutcome]
    ) -> tuple[beam.PCollection[Message | list[Message]], beam.PCollection[DeadLetter]]:
        """Apply to answers."""
        outputs = pcoll | "Message" >> beam.ParDo(_FromAnswer(self._limit)).with_outputs(TOO_LARGE, main="messages")
        return outputs["messages"], outputs[TOO_LARGE]


class LetterMessages(beam.PTransform):
    """Dead letters in; messages out, with the request's id as their key where it is known.

    Args:
        limit: Most bytes of key and value together.
        folder: Where a dead letter that is larger is kept whole.
    """

    def __init__(self, limit: int | TopicLimit, folder: str) -> None:
        super().__init__()
        self._limit = limit
        self._folder = folder

    def expand(self, pcoll: beam.PCollection[DeadLetter]) -> beam.PCollection[Message]:
        """Apply to dead letters."""
        return pcoll | "Message" >> beam.ParDo(_FromLetter(self._limit, self._folder)).with_output_types(Message)
