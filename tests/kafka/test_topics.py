"""Before a job is started: is Kafka there, and are the topics?"""

from __future__ import annotations

import json
import socket
import uuid

import pytest

from modelfleet.engines import kafka_topics
from modelfleet.engines.kafka_topics import check_topics
from modelfleet.engines.serve import serve
from modelfleet.errors import EngineUnavailableError, InputError, SpecError
from modelfleet.home import Home
from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.kafka_client import ENVIRONMENT, KafkaClient
from tests.streaming.conftest import Shop


def kafka_spec(topic: str, **more) -> FleetSpec:
    document = {"fleet": "shop", "entity": ["store"], "task": "regression", "data": {"source": "f.csv", "target": "y"}}
    return FleetSpec.model_validate(document | {"serving": {"source": {"kind": "kafka", "topic": topic, **more}}})


@pytest.fixture
def nowhere() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_a_broker_that_is_not_there_is_said_before_anything_is_started(tmp_path, nowhere, monkeypatch):
    monkeypatch.setattr(kafka_topics, "SECONDS", 0.5)
    shop = Shop(Home(tmp_path), kafka_spec("requests", bootstrap_servers=nowhere))
    shop.release()
    for call in (check_topics, serve):
        with pytest.raises(
            EngineUnavailableError, match=rf"no Kafka answers at {nowhere} .*refused.*bootstrap_servers"
        ):
            call(shop.spec, shop.home)
    assert not shop.home.flink.exists()


def test_a_broker_that_accepts_and_says_nothing_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(kafka_topics, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = kafka_spec("requests", bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(EngineUnavailableError, match="no Kafka answers"):
            check_topics(spec, Home(tmp_path))


def test_without_servers_the_local_broker_is_meant(tmp_path):
    with pytest.raises(EngineUnavailableError, match="no Kafka broker runs for"):
        check_topics(kafka_spec("requests"), Home(tmp_path))


def test_an_option_that_the_client_does_not_know_is_the_specs_fault(tmp_path, nowhere):
    spec = kafka_spec("requests", bootstrap_servers=nowhere, config={"no.such.option": 1})
    with pytest.raises(SpecError, match=r"serving\.source\.config: No such configuration property: \"no\.such\.option"):
        check_topics(spec, Home(tmp_path))


def test_secrets_come_from_the_environment_and_win(monkeypatch):
    client = KafkaClient("k:9092", {"client.id": "spec", "sasl.mechanism": "PLAIN"})
    assert "sasl.password" not in client.configuration()
    monkeypatch.setenv(ENVIRONMENT, json.dumps({"sasl.password": "hunter2", "client.id": "environment"}))
    assert client.configuration({"group.id": "g"}, defaults={"client.id": "ours"}) == {
        "bootstrap.servers": "k:9092",
        "client.id": "environment",
        "sasl.mechanism": "PLAIN",
        "sasl.password": "hunter2",
        "group.id": "g",
    }
    assert "hunter2" not in repr(client)


@pytest.mark.parametrize("text", ["{hunter2", '["hunter2"]', '{"sasl.password": {"hunter2": 1}}'])
def test_an_environment_that_cannot_be_read_is_named_without_its_value(monkeypatch, text):
    monkeypatch.setenv(ENVIRONMENT, text)
    with pytest.raises(InputError, match=f"{ENVIRONMENT} must hold a JSON object") as caught:
        KafkaClient("k:9092").configuration()
    assert "hunter2" not in str(caught.value)


@pytest.mark.kafka
def test_a_topic_that_is_not_there_is_named_with_the_nearest(kafka):
    topic = kafka.topic("orders")
    with pytest.raises(
        SpecError, match=rf"serving\.source\.topic: there is no topic '{topic}s'; did you mean '{topic}'"
    ):
        check_topics(kafka_spec(f"{topic}s"), kafka.home)
    check_topics(kafka_spec(topic), kafka.home)


@pytest.mark.kafka
def test_a_topic_is_made_as_the_spec_says_once(kafka):
    topic = f"made-{uuid.uuid4().hex[:8]}"
    spec = kafka_spec(topic, create={"partitions": 3})
    for _ in range(2):
        check_topics(spec, kafka.home)
    assert len(kafka.admin().list_topics(topic, timeout=10).topics[topic].partitions) == 3


@pytest.mark.kafka
def test_a_topic_that_cannot_be_made_says_why(kafka):
    spec = kafka_spec("more-copies-than-brokers", create={"replication": 3})
    with pytest.raises(SpecError, match=r"'more-copies-than-brokers' could not be made: .*[Rr]eplication"):
        check_topics(spec, kafka.home)
