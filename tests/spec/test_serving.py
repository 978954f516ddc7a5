from __future__ import annotations

from collections.abc import Callable

import pytest

from modelfleet.errors import SpecError
from modelfleet.spec import FleetSpec, KafkaSinkSpec, KafkaSourceSpec, PubsubSourceSpec, override

Load = Callable[[str], FleetSpec]
KAFKA = """
serving:
  source: {kind: kafka, topic: requests, bootstrap_servers: "k1:9092,k2:9092", config: {fetch.max.bytes: 1000000}}
  sink: {kind: kafka, answers: answers, dead_letters: dead, large: large}
"""


def test_topics_are_a_source_and_a_sink(load: Load, smallest: str) -> None:
    spec = load(smallest + KAFKA)
    source, sink = spec.serving.source, spec.serving.sink
    assert isinstance(source, KafkaSourceSpec)
    assert source.start == "earliest"
    assert source.config == {"fetch.max.bytes": 1_000_000}
    assert isinstance(sink, KafkaSinkSpec)
    assert sink.large is not None and sink.large.endswith("/fleets/large")
    assert sink.answers == "answers"  # a topic is no path
    assert FleetSpec.model_validate_json(spec.model_dump_json()) == spec
    assert override(spec, {"serving": {"source": {"start": "latest"}}}).serving.source != source


def test_source_and_sink_need_not_be_of_a_kind(load: Load, smallest: str) -> None:
    spec = load(smallest + "serving: {source: {kind: kafka, topic: requests}}\n")
    assert spec.serving.sink.kind == "folder"


@pytest.mark.parametrize(
    ("serving", "message"),
    [
        ("{source: kafka}", "serving.source: is 'kafka': expected a mapping with its kind, such as {kind: folder}"),
        ("{source: {kind: kafak}}", "serving.source: kind is 'kafak', which is not valid; did you mean 'kafka'?"),
        ("{source: {kind: kafka}}", "serving.source.topic: is required"),
        ("{source: {kind: kafka, topik: a}}", "serving.source.topik: no such key; did you mean 'topic'?"),
        ("{source: {topic: a}}", "serving.source.topic: no such key"),
        ("{sink: {anwsers: a}}", "serving.sink.anwsers: no such key; did you mean 'answers'?"),
        ("{requests: a}", "serving.requests: no such key"),
        ("{source: {kind: kafka, topic: 'a b'}}", "serving.source.topic: is 'a b'"),
        ("{source: {kind: kafka, topic: a, bootstrap_servers: here}}", "serving.source.bootstrap_servers: is 'here'"),
        ("{source: {kind: kafka, topic: a, start: now}}", "serving.source.start: is 'now'"),
        ("{source: {kind: kafka, topic: a, config: {group.id: b}}}", "'group.id' is set by the streaming job itself"),
        ("{sink: {kind: kafka, answers: a}}", "serving.sink.dead_letters: is required"),
        ("{source: {kind: pubsub, subscription: s}}", "serving.source.subscription: is 's'"),
        (
            "{source: {kind: pubsub, subscription: projects/my-shop/subscriptions/requests}}",
            "serving.source is Pub/Sub, which engine 'local' cannot do; use kafka or folder",
        ),
    ],
)
def test_what_is_wrong_is_named(load: Load, smallest: str, serving: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        load(smallest + f"serving: {serving}\n")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "option", ["sasl.password", "ssl.key.password", "ssl.keystore.password", "ssl.key.pem", "sasl.oauthbearer.config"]
)
def test_a_secret_is_refused_and_not_shown(load: Load, smallest: str, option: str) -> None:
    with pytest.raises(SpecError) as error:
        load(smallest + f"serving: {{source: {{kind: kafka, topic: a, config: {{{option}: hunter2}}}}}}\n")
    assert f"'{option}' is a secret: take it out and put it into $MODELFLEET_KAFKA_CONFIG" in str(error.value)
    assert "hunter2" not in str(error.value)


def test_pubsub_is_for_dataflow(load: Load, smallest: str) -> None:
    text = (
        smallest
        + "engine: dataflow\nserving: {source: {kind: pubsub, subscription: projects/my-shop/subscriptions/requests}}\n"
    )
    assert isinstance(load(text).serving.source, PubsubSourceSpec)
