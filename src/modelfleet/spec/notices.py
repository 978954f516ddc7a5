"""The notices section: how serving jobs are told of a release at once, beside looking for one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from modelfleet.spec.kafka import KafkaSection, Topic
from modelfleet.spec.pubsub import PROJECT, RESOURCE
from modelfleet.spec.section import Section


class KafkaNotices(KafkaSection):
    """Notices over a Kafka topic.

    Attributes:
        kind: `kafka`.
        topic: The topic; fleets may share one.
        bootstrap_servers: Where to ask first, such as `kafka-1:9092,kafka-2:9092`; absent means the local broker of
            the home folder.
        config: Options of librdkafka that are no secret; secret ones come from `$MODELFLEET_KAFKA_CONFIG`, in the
            environment of the job and of whoever promotes.
        create: How to make the topic if it is not there; absent means that it must be there.
    """

    kind: Literal["kafka"]
    topic: Topic


class PubsubNotices(Section):
    """Notices over Google Cloud Pub/Sub. Credentials are the environment's.

    Attributes:
        kind: `pubsub`.
        topic: Where releases are told, ``projects/P/topics/T``; fleets may share one.
        subscription: Where this fleet's job hears of them, ``projects/P/subscriptions/S``; a job needs its own.
    """

    kind: Literal["pubsub"]
    topic: str = Field(pattern=rf"^{PROJECT}/topics/{RESOURCE}$")
    subscription: str = Field(pattern=rf"^{PROJECT}/subscriptions/{RESOURCE}$")


Notices = Annotated[KafkaNotices | PubsubNotices, Field(discriminator="kind")]
