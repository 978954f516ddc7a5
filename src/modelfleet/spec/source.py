"""Where requests come from, by ``kind``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from modelfleet.spec.kafka import KafkaSection, Topic
from modelfleet.spec.pubsub import PROJECT, RESOURCE
from modelfleet.spec.section import Section, kind_or_folder


class FolderSourceSpec(Section):
    """A folder that is watched.

    Attributes:
        kind: `folder`, the kind where none is named.
        requests: Folder watched for request files; absent means the fleet's own below the home folder.
    """

    PATHS: ClassVar = ("requests",)

    kind: Literal["folder"] = "folder"
    requests: str | None = None


class KafkaSourceSpec(KafkaSection):
    """A Kafka topic.

    Attributes:
        kind: `kafka`.
        topic: The topic; a message is a request.
        group: Consumer group under which progress can be watched; absent means `modelfleet-` and the fleet's name.
            Progress itself is in the engine's checkpoint: nothing is read because of the group's offsets.
        start: Where the partitions that are there at the job's first start begin. Those added later begin at their
            beginning.
        discover_seconds: How often new partitions are looked for.
        bootstrap_servers: Where to ask first, such as `kafka-1:9092,kafka-2:9092`; absent means the local broker of
            the home folder.
        config: Options of librdkafka that are no secret; secret ones come from `$MODELFLEET_KAFKA_CONFIG`.
        create: How to make a topic that is not there; absent means that it must be there.
    """

    PATHS: ClassVar = ()

    kind: Literal["kafka"]
    topic: Topic
    group: str | None = Field(default=None, min_length=1, max_length=200)
    start: Literal["earliest", "latest"] = "earliest"
    discover_seconds: float = Field(default=10.0, gt=0)


class PubsubSourceSpec(Section):
    """A Pub/Sub subscription, read by Beam's own connector; for engine `dataflow`.

    Attributes:
        kind: `pubsub`.
        subscription: Such as `projects/my-shop/subscriptions/requests`.
    """

    PATHS: ClassVar = ()

    kind: Literal["pubsub"]
    subscription: str = Field(pattern=rf"^{PROJECT}/subscriptions/{RESOURCE}$")


SourceSpec = Annotated[
    Annotated[FolderSourceSpec, Tag("folder")]
    | Annotated[KafkaSourceSpec, Tag("kafka")]
    | Annotated[PubsubSourceSpec, Tag("pubsub")],
    Discriminator(kind_or_folder),
]
