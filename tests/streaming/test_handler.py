"""The handler in a Beam pipeline of one's own, and the transforms around it, without Flink."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from beam_jobs.handlers.beam_inference import PredictionResult, RunInference
from beam_jobs.handlers.fleet import FleetModelHandler
from beam_jobs.transforms.jsonl_parts import JsonlParts
from beam_jobs.transforms.outcomes import Outcomes
from beam_jobs.transforms.request_parsing import ParseRequests
from beam_jobs.transforms.request_source import _Lines, _request_files
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.request import MAX_BYTES, parse_request
from modelfleet.serving.resident import get_resident
from tests.streaming.in_process import pipeline

pytestmark = pytest.mark.beam


def test_each_request_gives_one_result_and_bad_ones_cost_nobody_else(shop, config):
    lines = [shop.request(), b"not json", shop.request(x="blue"), shop.request(store="b")]
    with pipeline() as p:
        requests, bad = p | beam.Create(lines) | ParseRequests()
        results = requests | RunInference(FleetModelHandler(config))
        answers, dead = results | Outcomes()
        assert_that(answers | beam.Map(lambda answer: answer.entity), equal_to(["a", "b"]), "answers")
        assert_that(dead | beam.Map(lambda letter: letter.stage), equal_to(["predict"]), "dead")
        assert_that(bad | "stage" >> beam.Map(lambda letter: letter.stage), equal_to(["parse"]), "bad")


def test_answers_carry_their_event_time_as_timestamp(shop, config):
    with pipeline() as p:
        results = p | beam.Create([parse_request(shop.request())]) | RunInference(FleetModelHandler(config))
        answers, _ = results | Outcomes()
        times = answers | beam.Map(lambda answer, timestamp=beam.DoFn.TimestampParam: float(timestamp))
        assert_that(times, equal_to([datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()]))


@pytest.mark.parametrize("signal", ["{folder}/0000000002.json", "0000000002.json", "2"])
def test_a_release_file_is_a_signal(shop, config, signal):
    handler = FleetModelHandler(config)
    resident = handler.load_model()
    assert resident.generation == 1
    shop.release()
    handler.update_model_path(signal.format(folder=shop.folders.releases))
    shop.until(lambda: resident.generation == 2)
    assert handler.load_model() is resident


@pytest.mark.parametrize("signal", ["", None, "latest", "../0000000002.txt", "-1"])
def test_what_names_no_release_is_passed_over(shop, config, signal):
    FleetModelHandler(config).update_model_path(signal)
    assert get_resident(config).generation == 1


def test_the_size_of_a_batch_is_that_of_its_lines(shop, config):
    line = shop.request()
    assert FleetModelHandler(config).get_num_bytes([parse_request(line)] * 3) == 3 * len(line)


def test_a_dead_letter_keeps_its_generation(shop, config):
    handler = FleetModelHandler(config)
    [result] = handler.run_inference([parse_request(shop.request(x="blue"))], handler.load_model())
    assert isinstance(result, PredictionResult)
    assert isinstance(result.inference, DeadLetter)
    assert result.model_id == "1"


def test_parts_are_whole_and_hold_every_line(tmp_path):
    answers = [
        Answer(str(i), "shop", "a", 1.0, None, 1, "entity", None, "2026-01-31T12:00:00+00:00", "p") for i in range(50)
    ]
    with pipeline() as p:
        _ = p | beam.Create(answers) | JsonlParts(str(tmp_path / "new"))
    parts = list((tmp_path / "new").iterdir())
    assert all(part.name.endswith(".jsonl") and not part.name.startswith(".") for part in parts)
    found = [json.loads(line)["request_id"] for part in parts for line in part.read_text().splitlines()]
    assert sorted(found, key=int) == [str(i) for i in range(50)]


def test_lines_of_any_length_are_cut_and_the_next_one_is_whole(tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_bytes(b"a\r\n\n" + b"x" * (3 * MAX_BYTES) + b"\nb")
    lines = list(_Lines().process(bytes(file)))
    assert [len(line) for line in lines] == [1, MAX_BYTES + 2, 1]


def test_a_file_that_cannot_be_read_is_a_dead_letter(tmp_path):
    [output] = list(_Lines().process(bytes(tmp_path / "gone.jsonl")))
    assert "gone.jsonl" in output.value.reason
    assert output.value.original_bytes() == bytes(tmp_path / "gone.jsonl")


def test_only_finished_files_are_requests(tmp_path):
    for name in ("a.jsonl", ".b.jsonl", "c.jsonl.tmp", "d.json", "e.parquet", ".f.parquet", "g.parquet.tmp"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "nowhere")
    first = _request_files(str(tmp_path))
    assert set(first.values()) == {bytes(tmp_path / "a.jsonl"), bytes(tmp_path / "e.parquet")}
    (tmp_path / "a.jsonl").write_text("{} ")
    assert len(_request_files(str(tmp_path)).keys() - first.keys()) == 1  # replaced: another mark
    assert _request_files(str(tmp_path / "none")) == {}
