"""Answers and dead letters as messages, and the pipeline that is built for each kind of source and sink."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs.pipelines.outcome_output import FolderOutput, KafkaOutput, OutcomeOutput, PubsubOutput
from beam_jobs.pipelines.request_input import FolderInput, KafkaInput, PubsubInput, RequestInput
from beam_jobs.pipelines.serve import ServeConfig, build_serve
from beam_jobs.transforms.jsonl_parts import JsonlParts
from beam_jobs.transforms.messages import AnswerMessages, LetterMessages
from modelfleet.engines.options import IN_PROCESS
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.arrow_answer import ArrowAnswer
from modelfleet.serving.chunk_answer import ChunkAnswer, read_answer
from modelfleet.serving.resident import ResidentConfig
from modelfleet.spec.kafka_client import KafkaClient

NOW = datetime(2026, 1, 31, tzinfo=UTC)
SMALL = Answer("r", "f", "e", 1.0, None, 3, "entity", None, NOW.isoformat(), "p")
KAFKA = KafkaClient("127.0.0.1:9092")


def chunk_answer(rows: int) -> ChunkAnswer:
    nothing = [None] * rows
    return ChunkAnswer(
        "c", "f", 3, ["e"] * rows, [1.0] * rows, nothing, ["entity"] * rows, nothing, None, NOW.isoformat(), "p"
    )  # fmt: skip


@pytest.mark.beam
def test_an_answer_too_large_for_a_message_becomes_a_dead_letter() -> None:
    large = chunk_answer(1000)
    with beam.Pipeline(options=PipelineOptions(runner=IN_PROCESS)) as pipeline:
        messages, letters = pipeline | beam.Create([SMALL, chunk_answer(2), large]) | AnswerMessages(10_000)
        assert_that(
            messages,
            equal_to([(b"r", SMALL.to_json().encode()), (b"c", chunk_answer(2).to_json().encode())]),
            label="messages",
        )
        found = letters | beam.Map(lambda letter: (letter.stage, ChunkAnswer.from_json(letter.original_bytes())))
        assert_that(found, equal_to([("write", large)]), label="letters")


def arrow_answer(rows: int) -> ArrowAnswer:
    columns = {"entity": ["e"] * rows, "prediction": [1.0] * rows, "score": pa.nulls(rows, pa.float64())}
    columns |= {"served_by": ["entity"] * rows, "error": pa.nulls(rows, pa.string())}
    return ArrowAnswer("c", "f", 3, pa.record_batch(columns), None, NOW.isoformat(), "p")


@pytest.mark.beam
def test_an_answer_of_arrow_is_a_message_of_bytes_and_a_line_of_json_in_a_folder(tmp_path: Path) -> None:
    small, large = arrow_answer(2), arrow_answer(1000)
    with beam.Pipeline(options=PipelineOptions(runner=IN_PROCESS)) as pipeline:
        answers = pipeline | beam.Create([small, large])
        messages, letters = answers | AnswerMessages(10_000)
        assert_that(messages, equal_to([(b"c", small.to_message())]), label="messages")
        found = letters | beam.Map(lambda letter: read_answer(letter.original_bytes()).predictions)
        assert_that(found, equal_to([1000]), label="letters")
        _ = answers | JsonlParts(str(tmp_path))
    lines = [line for part in tmp_path.glob("*.jsonl") for line in part.read_text().splitlines()]
    assert sorted(map(read_answer, lines), key=lambda one: one.predictions) == [chunk_answer(2), chunk_answer(1000)]


@pytest.mark.beam
def test_rows_of_a_chunk_have_keys_of_their_own(tmp_path: Path) -> None:
    def letter(request_id: str | None, row: int | None) -> DeadLetter:
        return DeadLetter.of(b"x", reason="no", stage="predict", now=NOW, request_id=request_id, row=row)

    with beam.Pipeline(options=PipelineOptions(runner=IN_PROCESS)) as pipeline:
        letters = [letter("c", 0), letter("c", 1), letter("r", None), letter(None, None)]
        keys = pipeline | beam.Create(letters) | LetterMessages(10_000, str(tmp_path)) | beam.Keys()
        assert_that(keys, equal_to([b"c#0", b"c#1", b"r", None]))


def built(requests: RequestInput, outcomes: OutcomeOutput) -> beam.Pipeline:
    pipeline = beam.Pipeline(options=PipelineOptions(runner=IN_PROCESS, streaming=True))
    resident = ResidentConfig(fleet="f", releases="/releases", leases="/leases", job="j")
    build_serve(pipeline, ServeConfig(resident, 1, requests, outcomes))
    return pipeline


def names(requests: RequestInput, outcomes: OutcomeOutput) -> list[str]:
    pipeline = built(requests, outcomes)
    return sorted(part.full_label for part in pipeline.transforms_stack[0].parts)


def test_the_names_of_steps_are_those_that_checkpoints_know() -> None:
    """A name that changes makes the checkpoints of running jobs useless."""
    common = {"Releases", "Requests", "Parse", "Predict", "Outcomes", "Dead letters"}
    folder = FolderInput("/in"), FolderOutput("/out", "/dead")
    assert set(names(*folder)) == common | {"Signal", "Write answers", "Write dead letters"}
    kafka = KafkaInput(KAFKA, "t", "g"), KafkaOutput(KAFKA, "a", "d", "/large")
    written = {"Answer messages", "Dead letter messages", "Write answers", "Write dead letters"}
    assert set(names(*kafka)) == common | written


def test_between_kafka_and_kafka_nothing_begins_a_stage() -> None:
    """What reads a side input or shuffles makes a request go through the runner, and wait for one bundle more."""
    pipeline = built(KafkaInput(KAFKA, "t", "g"), KafkaOutput(KAFKA, "a", "d", "/large"))
    proto = pipeline.to_runner_api(use_fake_coders=True)
    told, shuffled = set(), set()
    for transform in proto.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            told |= {transform.unique_name} if payload.side_inputs else set()
        shuffled |= {transform.unique_name} if transform.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn else set()
    assert {name for name in told if not name.startswith("Releases/")} == {"Requests/Read"}
    assert not {name for name in shuffled if not name.startswith(("Releases/", "Requests/Partitions/"))}


def test_a_pubsub_job_can_be_built() -> None:
    topics = (f"projects/my-shop/topics/{name}" for name in ("answers", "dead"))
    pubsub = PubsubInput("projects/my-shop/subscriptions/requests"), PubsubOutput(*topics, "/large")
    assert {"Requests", "Write answers", "Write dead letters"} <= set(names(*pubsub))
