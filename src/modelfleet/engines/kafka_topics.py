"""Whether the topics that a fleet's spec names are there, before a job is started that would only wait for them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from modelfleet.engines.kafka_broker import find_kafka_broker
from modelfleet.errors import EngineUnavailableError, MissingExtraError, SpecError, nearest
from modelfleet.spec.kafka_client import ENVIRONMENT, KafkaClient
from modelfleet.spec.notices import KafkaNotices
from modelfleet.spec.sink import KafkaSinkSpec
from modelfleet.spec.source import KafkaSourceSpec

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec
    from modelfleet.spec.kafka import KafkaSection

SECONDS = 4.0
"""How long Kafka may take to answer."""


def kafka_client(section: KafkaSection, home: Home) -> KafkaClient:
    """Return the client of a section of the spec.

    Args:
        section: A source or a sink.
        home: The root folder, whose local broker is meant where the spec names none.

    Raises:
        EngineUnavailableError: The local broker is meant and does not answer.
    """
    return KafkaClient(section.bootstrap_servers or find_kafka_broker(home).bootstrap_servers, section.config)


def check_topics(spec: FleetSpec, home: Home) -> None:
    """See that every topic of a spec is there; make those that the spec says how to make.

    Args:
        spec: The fleet's spec; one without Kafka is not looked at further.
        home: The root folder.

    Raises:
        MissingExtraError: The spec names Kafka and its client is not installed.
        EngineUnavailableError: Kafka does not answer.
        SpecError: A topic is not there, or the client does not know an option.
    """
    source, sink = spec.serving.source, spec.serving.sink
    if isinstance(source, KafkaSourceSpec):
        _check("serving.source", source, {"topic": source.topic}, home)
    if isinstance(sink, KafkaSinkSpec):
        _check("serving.sink", sink, {"answers": sink.answers, "dead_letters": sink.dead_letters}, home)
    if isinstance(spec.serving.notices, KafkaNotices):
        _check("serving.notices", spec.serving.notices, {"topic": spec.serving.notices.topic}, home)


def _check(place: str, section: KafkaSection, topics: dict[str, str], home: Home) -> None:
    try:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient
    except ImportError:
        raise MissingExtraError("confluent-kafka", "kafka") from None
    client = kafka_client(section, home)
    troubles: list[str] = []
    try:
        admin = AdminClient(
            client.configuration({"log_level": 2, "error_cb": lambda error: troubles.append(str(error.str()))}),
            logger=logging.getLogger(__name__),
        )
    except KafkaException as error:
        raise SpecError(f"{place}.config: {error.args[0].str()}; it is passed to librdkafka as it is") from None
    try:
        present = set(admin.list_topics(timeout=SECONDS).topics)
    except KafkaException as error:
        admin.poll(0)  # what went wrong with the connection is told by the callback
        why = troubles[0] if troubles else error.args[0].str()
        raise EngineUnavailableError(
            f"{place}: no Kafka answers at {client.servers} ({why}): start it, or correct bootstrap_servers; user and "
            f"password belong into ${ENVIRONMENT}"
        ) from None
    for field, topic in topics.items():
        if topic not in present:
            _make(admin, f"{place}.{field}", topic, section, present)


def _make(admin: Any, field: str, topic: str, section: KafkaSection, present: set[str]) -> None:
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import NewTopic

    how = section.create
    if how is None:
        known = nearest(topic, (name for name in present if not name.startswith("__")))
        raise SpecError(
            f"{field}: there is no topic '{topic}'{known}; make it, or have it made with `create: {{partitions: 4}}`"
        )
    new = NewTopic(topic, how.partitions or -1, how.replication or -1)
    try:
        admin.create_topics([new], operation_timeout=SECONDS)[topic].result(SECONDS * 2)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else was faster
            raise SpecError(f"{field}: topic '{topic}' could not be made: {error.args[0].str()}") from None
