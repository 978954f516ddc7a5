"""Where the streaming job's answers and dead letters go: folders, Kafka topics or Pub/Sub topics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam

from beam_jobs.transforms.jsonl_parts import JsonlParts
from beam_jobs.transforms.kafka_writer import KafkaWriter, TopicLimit
from beam_jobs.transforms.messages import AnswerMessages, LetterMessages
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.chunk_answer import AnyAnswer
from modelfleet.serving.request_pack import PackOutcome
from modelfleet.spec.kafka_client import KafkaClient

PUBSUB_LIMIT = 9_500_000
"""Bytes; Pub/Sub takes 10 MB, with what goes around the message."""


@dataclass(frozen=True)
class FolderOutput:
    """Two folders.

    Attributes:
        answers: Folder for answers.
        dead_letters: Folder for dead letters.
    """

    answers: str
    dead_letters: str


@dataclass(frozen=True)
class KafkaOutput:
    """Two Kafka topics.

    Attributes:
        client: Which Kafka.
        answers: Topic for answers.
        dead_letters: Topic for dead letters.
        large: Folder for dead letters larger than a message may be.
        limit: Bytes a message may have; None asks the broker.
    """

    client: KafkaClient
    answers: str
    dead_letters: str
    large: str
    limit: int | None = None


@dataclass(frozen=True)
class PubsubOutput:
    """Two Pub/Sub topics.

    Attributes:
        answers: ``projects/P/topics/T`` for answers.
        dead_letters: The same for dead letters.
        large: Folder for dead letters larger than a message may be.
    """

    answers: str
    dead_letters: str
    large: str


OutcomeOutput = FolderOutput | KafkaOutput | PubsubOutput


def takes_together(output: OutcomeOutput) -> bool:
    """Return whether several answers may be one element."""
    return isinstance(output, KafkaOutput)


def write_outcomes(
    answers: beam.PCollection[AnyAnswer | PackOutcome],
    letters: Sequence[beam.PCollection[DeadLetter]],
    output: OutcomeOutput,
) -> None:
    """Add the sink to a pipeline.

    Args:
        answers: Every answer; where ``takes_together``, several may be one element.
        letters: The dead letters of every step.
        output: Where they go.
    """
    if isinstance(output, FolderOutput):
        _ = answers | "Write answers" >> JsonlParts(output.answers)
        _ = tuple(letters) | "Dead letters" >> beam.Flatten() | "Write dead letters" >> JsonlParts(output.dead_letters)
        return
    answer_limit, letter_limit = _limits(output)
    messages, too_large = answers | "Answer messages" >> AnswerMessages(answer_limit)
    dead = (
        (*letters, too_large)
        | "Dead letters" >> beam.Flatten()
        | "Dead letter messages" >> LetterMessages(letter_limit, output.large)
    )
    if isinstance(output, KafkaOutput):
        client, limit = output.client, output.limit
        _ = messages | "Write answers" >> KafkaWriter(client, output.answers, limit=limit)
        _ = dead | "Write dead letters" >> KafkaWriter(client, output.dead_letters, limit=limit)
        return
    for name, keyed, topic in (
        ("answers", messages, output.answers),
        ("dead letters", dead, output.dead_letters),
    ):
        _ = keyed | f"Bodies of {name}" >> beam.Values() | f"Write {name}" >> beam.io.WriteToPubSub(topic)


def _limits(output: KafkaOutput | PubsubOutput) -> tuple[int | TopicLimit, int | TopicLimit]:
    if isinstance(output, PubsubOutput):
        return PUBSUB_LIMIT, PUBSUB_LIMIT
    if output.limit is not None:
        return output.limit, output.limit
    return TopicLimit(output.client, output.answers), TopicLimit(output.client, output.dead_letters)
