"""Requests from Pub/Sub and answers to it, by Beam's own connector on its direct runner, while a release is swapped in.

The direct runner keeps no unbounded side input, so the processes hear of the release by looking at the ledger, as one
does that gets no requests. The signal's own graph runs on Flink in `tests/streaming`, its notices in `test_notices`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.handlers.beam_inference import RunInference
from beam_jobs.handlers.fleet import FleetModelHandler
from beam_jobs.pipelines.outcome_output import PubsubOutput, write_outcomes
from beam_jobs.pipelines.request_input import PubsubInput, read_requests
from beam_jobs.transforms.outcomes import Outcomes
from beam_jobs.transforms.request_parsing import ParseRequests
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.serving.chunk_answer import read_answer
from modelfleet.serving.resident import get_resident
from modelfleet.serving.resident_config import ResidentConfig
from tests.cloud.pubsub.conftest import Pubsub
from tests.loop.conftest import Shop, families
from tests.releases.notices_contract import until
from tests.serving.arrow_streams import stream as arrow_stream

assert families  # a fixture of every test here


class Stream:
    """A pipeline between two topics, and what came out of it."""

    def __init__(self, pubsub: Pubsub, config: ResidentConfig, large: Path) -> None:
        self._pubsub = pubsub
        self._requests, subscription = pubsub.topic("requests")
        answers, self._answers = pubsub.topic("answers")
        letters, self._letters = pubsub.topic("letters")
        self.answers: dict[str, dict[str, Any]] = {}
        self.letters: list[dict[str, Any]] = []
        pipeline = beam.Pipeline(options=PipelineOptions(["--runner=BundleBasedDirectRunner", "--streaming"]))
        lines, unreadable = read_requests(pipeline, PubsubInput(subscription))
        requests, bad = lines | "Parse" >> ParseRequests()
        results = requests | "Predict" >> RunInference(FleetModelHandler(config))
        good, failed = results | "Outcomes" >> Outcomes()
        write_outcomes(good, (*unreadable, bad, failed), PubsubOutput(answers, letters, str(large)))
        self.result = pipeline.run()

    def send(self, body: bytes) -> None:
        self._pubsub.publisher.publish(self._requests, body).result(30)

    def ask(self, request_id: str, store: str = "a") -> None:
        self.send(json.dumps({"request_id": request_id, "row": {"store": store, "x": 1.0}}).encode())

    def look(self) -> None:
        for message in self._pubsub.pull(self._answers):
            answer = json.loads(read_answer(message.data).to_json())
            self.answers.setdefault(answer["request_id"], answer)
        self.letters += [json.loads(message.data) for message in self._pubsub.pull(self._letters)]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def config(shop: Shop) -> ResidentConfig:
    folders = shop.folders
    return ResidentConfig("sales", str(folders.releases), str(folders.leases), poll_seconds=0.05)


def release(shop: Shop, value: float) -> None:
    run = shop.run({"a": value}, pooled=9.0)
    register(run, shop.registry)
    promote(run, shop.registry)


@pytest.fixture
def stream(shop: Shop, pubsub: Pubsub, config: ResidentConfig, tmp_path: Path) -> Iterator[Stream]:
    release(shop, 1.0)
    running = Stream(pubsub, config, tmp_path / "large")
    yield running
    running.result.cancel()
    get_resident(config).close()


def test_requests_are_answered_across_a_swap_and_none_is_lost(
    shop: Shop, stream: Stream, config: ResidentConfig, tmp_path: Path
) -> None:
    for number in range(5):
        stream.ask(f"before-{number}")
    stream.ask("unknown", store="nobody's")
    stream.send(arrow_stream({"store": ["a", "nobody's"], "x": [1.0, 1.0]}, {"request_id": "arrow"}))
    stream.send(b"not JSON")
    stream.send(b'{"request_id": "no number", "row": {"store": "a", "x": "many"}}')
    until(lambda: bool(stream.look()) or (len(stream.answers) >= 7 and len(stream.letters) >= 2))
    release(shop, 2.0)
    until(lambda: get_resident(config).generation == 2)
    for number in range(5):
        stream.ask(f"after-{number}")
    until(lambda: bool(stream.look()) or len(stream.answers) >= 12)
    seen = {name: (one["generation"], one["prediction"]) for name, one in stream.answers.items()}
    assert {seen[f"before-{number}"] for number in range(5)} == {(1, 1.0)}
    assert {seen[f"after-{number}"] for number in range(5)} == {(2, 2.0)}
    assert stream.answers["unknown"]["served_by"] == "pooled"
    assert stream.answers["arrow"]["served_by"] == ["entity", "pooled"]
    assert {letter["request_id"] for letter in stream.letters} == {None, "no number"}
    assert len(stream.letters) == 2
