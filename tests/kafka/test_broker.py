"""The local broker: what it says when it cannot run, and that a killed one comes back with its data."""

from __future__ import annotations

import os
import socket

import pytest

from modelfleet.engines import kafka_broker
from modelfleet.engines.kafka_broker import (
    KafkaBroker,
    find_kafka_broker,
    kafka_broker_command,
    running_kafka_broker,
    wait_for_kafka_broker,
)
from modelfleet.errors import EngineUnavailableError
from modelfleet.home import Home


def write_record(home, port, pid=1):
    home.kafka.mkdir(parents=True)
    record = KafkaBroker(pid=pid, port=port, controller_port=port)
    (home.kafka / "broker.json").write_text(record.model_dump_json())


def test_without_a_broker_it_says_what_to_start(tmp_path):
    with pytest.raises(EngineUnavailableError, match=r"start one with `python -m modelfleet\.engines\.kafka"):
        find_kafka_broker(Home(tmp_path))


def test_a_broker_that_is_gone_is_named_with_its_log(tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    write_record(Home(tmp_path), port)
    with pytest.raises(EngineUnavailableError, match=rf"127\.0\.0\.1:{port}.*kafka-broker\.log") as caught:
        find_kafka_broker(Home(tmp_path))
    assert caught.value.exit_code == 4


def test_an_open_port_is_not_yet_a_broker():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert not KafkaBroker(pid=1, port=port, controller_port=port).answers(seconds=0.2)


def test_one_that_is_not_built_is_named_with_the_command(tmp_path, monkeypatch):
    monkeypatch.setenv("MODELFLEET_KAFKA_BROKER", "/nowhere/kafka")
    with (
        pytest.raises(EngineUnavailableError, match=r"/nowhere/kafka.*infra/kafka/build\.sh"),
        running_kafka_broker(Home(tmp_path)),
    ):
        pass


def test_one_that_ends_at_once_is_noticed_at_once(tmp_path, monkeypatch):
    """Java is not asked for: a folder without jars ends in a moment."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "stamp").touch()
    (tmp_path / "server.properties").write_text("log.dirs={folder}\n")
    monkeypatch.setenv("MODELFLEET_KAFKA_BROKER", str(tmp_path))
    home = Home(tmp_path / "home")
    with pytest.raises(EngineUnavailableError, match=r"kafka-broker\.log"), running_kafka_broker(home):
        pass
    assert "could not be made ready for Kafka" in (home.logs / "kafka-broker.log").read_text()


def test_a_taken_port_is_said_before_java_starts(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EngineUnavailableError, match=f"port {port} is taken"):
            kafka_broker.main([f"--home={tmp_path}", f"--port={port}"])


def test_a_home_has_one_broker_even_while_it_is_paused(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as paused:
        write_record(Home(tmp_path), paused.getsockname()[1], pid=os.getpid())
        with pytest.raises(EngineUnavailableError, match=f"process {os.getpid()} is the Kafka broker"):
            kafka_broker.main([f"--home={tmp_path}"])


def test_the_supervisor_gets_one_command(tmp_path):
    command = kafka_broker_command(Home(tmp_path), port=9092)
    assert command[1:] == ["-m", "modelfleet.engines.kafka_broker", f"--home={tmp_path}", "--port=9092"]


@pytest.mark.kafka
def test_a_running_one_is_found_and_left_running(kafka):
    with running_kafka_broker(kafka.home) as found:
        assert found == kafka.address
    assert find_kafka_broker(kafka.home).answers()


@pytest.mark.kafka
def test_it_listens_on_loopback_only(kafka):
    listening = set()
    for table in ("tcp", "tcp6"):
        with open(f"/proc/{kafka.address.pid}/net/{table}") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        inodes = {os.readlink(f"/proc/{kafka.address.pid}/fd/{n}") for n in os.listdir(f"/proc/{kafka.address.pid}/fd")}
        listening |= {row[1].split(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes}
    assert listening == {"0000000000000000FFFF00000100007F"}


@pytest.mark.kafka
def test_a_killed_one_comes_back_with_its_data_on_its_port(kafka):
    topic = kafka.topic()
    kafka.send(topic, [b"1", b"2"])
    before = kafka.address
    kafka.kill()
    with pytest.raises(EngineUnavailableError):
        wait_for_kafka_broker(kafka.home, seconds=0.1)
    kafka.start()
    assert kafka.address.port == before.port
    assert kafka.address.pid != before.pid
    kafka.send(topic, [b"3"])
    assert [message.value() for message in kafka.read(topic)] == [b"1", b"2", b"3"]


@pytest.mark.kafka
def test_a_misspelt_topic_is_not_made(kafka):
    kafka.admin().list_topics("misspelt", timeout=10)
    assert "misspelt" not in kafka.admin().list_topics(timeout=10).topics
