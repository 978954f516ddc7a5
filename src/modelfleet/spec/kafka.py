"""What a fleet's spec says about a Kafka: where it is, and options of the client that are no secret."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, field_validator

from modelfleet.spec.section import Section

Topic = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]

SECRET = re.compile(r"password|passphrase|secret|private|jaas|^ssl\.key\.pem$|^sasl\.oauthbearer\.config$")
"""Options of librdkafka whose values must not stand in a file that is shared."""

OWN = frozenset(
    {
        "auto.offset.reset",
        "bootstrap.servers",
        "delivery.report.only.error",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.idempotence",
        "group.id",
        "metadata.broker.list",
    }
)
"""Options that the streaming job sets itself: what it promises depends on them."""


class NewTopicSpec(Section):
    """How a topic is made that is not there yet.

    Attributes:
        partitions: So many; absent means the broker's default.
        replication: Copies of each; absent means the broker's default.
    """

    partitions: int | None = Field(default=None, ge=1)
    replication: int | None = Field(default=None, ge=1)


class KafkaSection(Section):
    """Base of the sections that name topics.

    Attributes:
        bootstrap_servers: Where to ask first, such as `kafka-1:9092,kafka-2:9092`; absent means the local broker of
            the home folder.
        config: Options of librdkafka that are no secret; secret ones come from `$MODELFLEET_KAFKA_CONFIG`.
        create: How to make a topic that is not there; absent means that it must be there.
    """

    bootstrap_servers: str | None = Field(default=None, pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$")
    config: dict[str, str | int | float | bool] = Field(default_factory=dict)
    create: NewTopicSpec | None = None

    @field_validator("config")
    @classmethod
    def _no_secrets(cls, config: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
        for name in config:
            if SECRET.search(name):
                # Its value is not shown: messages end in logs
                raise ValueError(f"'{name}' is a secret: take it out and put it into $MODELFLEET_KAFKA_CONFIG")
            if name in OWN:
                raise ValueError(f"'{name}' is set by the streaming job itself; leave it out")
        return config
