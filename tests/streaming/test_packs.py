"""Packs: many requests as one element, and each answered as if it had come alone."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from beam_jobs.handlers.beam_inference import PredictionResult, RunInference
from beam_jobs.handlers.fleet import FleetModelHandler
from beam_jobs.transforms.kafka_readers import Pace
from beam_jobs.transforms.kafka_source import _ReadPartition
from beam_jobs.transforms.messages import AnswerMessages
from beam_jobs.transforms.outcomes import Outcomes
from beam_jobs.transforms.packs import Pack, Packing
from beam_jobs.transforms.request_parsing import ParseRequests
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.message import parse_message
from modelfleet.serving.request_pack import PackOutcome, RequestPack
from modelfleet.spec.kafka_client import KafkaClient
from tests.streaming.in_process import pipeline

CHUNK = b'{"request_id": "c", "rows": [{"store": "a", "x": 1}, {"store": "b", "x": "blue"}]}'


@given(st.lists(st.binary(max_size=20)), st.integers(1, 5), st.integers(0, 40))
def test_packs_hold_every_line_once_in_order_and_no_more_than_they_may(
    lines: list[bytes], most: int, nbytes: int
) -> None:
    packs = list(Packing(most, nbytes).pack(lines))
    assert [line for _, pack in packs for line in pack] == lines
    assert [first for first, _ in packs] == [sum(len(one) for _, one in packs[:i]) for i in range(len(packs))]
    for _, pack in packs:
        assert 1 <= len(pack) <= most
        assert len(pack) == 1 or sum(map(len, pack)) <= nbytes


def test_a_pack_of_messages_has_the_earliest_of_their_times():
    values, times = [b"1", b"2", b"3"], [30.0, 20.0, 50.0]
    read = _ReadPartition(KafkaClient("127.0.0.1:9092"), "t", "g", Pace(), Packing(lines=2))
    found = [(element.value, float(element.timestamp)) for element in read._elements(values, times)]
    assert found == [([b"1", b"2"], 20.0), ([b"3"], 50.0)]
    alone = _ReadPartition(KafkaClient("127.0.0.1:9092"), "t", "g", Pace(), None)
    assert [float(element.timestamp) for element in alone._elements(values, times)] == times


@pytest.mark.beam
def test_each_line_of_a_pack_has_an_answer_or_a_dead_letter(shop, config):
    lines = [shop.request(), b"not json", shop.request(x="blue"), CHUNK, shop.request(store="b")]
    with pipeline() as p:
        packs = p | beam.Create([lines, [b"no request"]]).with_output_types(Pack)
        requests, bad = packs | ParseRequests()
        results = requests | RunInference(FleetModelHandler(config))
        answers, dead = results | Outcomes()
        assert_that(answers | beam.Map(lambda answer: answer.entity), equal_to(["a", ["a", "b"], "b"]), "answers")
        stages = dead | beam.Map(lambda letter: (letter.stage, letter.row))
        assert_that(stages, equal_to([("predict", None), ("predict", 1)]), "dead")
        originals = bad | "original" >> beam.Map(lambda letter: letter.original)
        assert_that(originals, equal_to(["not json", "no request"]), "bad")


@pytest.mark.beam
def test_answers_of_a_pack_may_stay_together_with_the_earliest_of_their_times(shop, config):
    later = shop.request().replace(b"2026-01-31T12:00:00Z", b"2026-01-31T13:00:00Z")
    assert b"T13" in later
    pack = RequestPack((parse_message(later), parse_message(shop.request()), parse_message(CHUNK)))
    with pipeline() as p:
        results = p | beam.Create([pack]) | RunInference(FleetModelHandler(config))
        answers, _ = results | Outcomes(together=True)
        seen = answers | beam.Map(lambda each, time=beam.DoFn.TimestampParam: (len(each.answers), float(time)))
        assert_that(seen, equal_to([(3, datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())]), "answers")
        messages, _ = answers | AnswerMessages(100_000)
        assert_that(messages | "keys" >> beam.Map(lambda each: [key for key, _ in each][-1]), equal_to([b"c"]), "keys")


@pytest.mark.beam
def test_an_answer_too_large_for_a_message_costs_the_others_of_its_pack_nothing():
    made = [
        Answer(name, "f", "e" * size, 1.0, None, 3, "entity", None, "2026-01-31T12:00:00+00:00", "p")
        for name, size in (("small", 1), ("large", 10_000))
    ]
    with pipeline() as p:
        packs = [PackOutcome(3, tuple(made), ()), PackOutcome(3, tuple(made[1:]), ())]
        messages, letters = p | beam.Create(packs) | AnswerMessages(1_000)
        assert_that(messages, equal_to([[(b"small", made[0].to_json().encode())]]), "messages")
        assert_that(letters | beam.Map(lambda letter: letter.request_id), equal_to(["large", "large"]), "letters")


def test_what_is_pickled_is_the_lines_and_comes_back_the_same(shop, config):
    pack = RequestPack((parse_message(shop.request(x="blue")), parse_message(CHUNK), parse_message(shop.request())))
    assert pickle.loads(pickle.dumps(pack)) == pack
    handler = FleetModelHandler(config)
    [result] = handler.run_inference([pack], handler.load_model())
    assert pickle.loads(pickle.dumps(result.inference)) == result.inference


def test_a_pack_is_one_result_and_weighs_what_its_requests_do(shop, config):
    handler = FleetModelHandler(config, max_batch_rows=4)
    pack = RequestPack((parse_message(shop.request()), parse_message(shop.request(x="blue")), parse_message(CHUNK)))
    alone = parse_message(shop.request())
    first, second = handler.run_inference([pack, alone], handler.load_model())
    assert isinstance(first, PredictionResult)
    assert isinstance(first.inference, PackOutcome)
    assert [len(first.inference.answers), len(first.inference.dead_letters)] == [2, 2]
    assert all(isinstance(letter, DeadLetter) for letter in first.inference.dead_letters)
    assert (first.model_id, first.inference.generation) == ("1", 1)
    assert isinstance(second.inference, Answer)
    sizes = [handler.batch_elements_kwargs()["element_size_fn"](one) for one in (pack, alone)]
    assert sizes == [3, 1]
    assert handler.get_num_bytes([pack, alone]) == sum(len(one.original) for one in (*pack.requests, alone))
