"""Where answers and dead letters go, by ``kind``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from modelfleet.spec.kafka import KafkaSection, Topic
from modelfleet.spec.pubsub import PROJECT, RESOURCE
from modelfleet.spec.section import Section, kind_or_folder


class FolderSinkSpec(Section):
    """Two folders of JSONL files.

    Attributes:
        kind: `folder`, the kind where none is named.
        answers: Folder for answers; absent means the fleet's own.
        dead_letters: Folder for dead letters; absent means the fleet's own.
    """

    PATHS: ClassVar = ("answers", "dead_letters")

    kind: Literal["folder"] = "folder"
    answers: str | None = None
    dead_letters: str | None = None


class KafkaSinkSpec(KafkaSection):
    """Two Kafka topics.

    Attributes:
        kind: `kafka`.
        answers: Topic for answers; the key is the request's id.
        dead_letters: Topic for dead letters.
        max_message_bytes: Largest message the topics take; absent means that the broker is asked.
        large: Folder, or place below a bucket, for what is larger than that; absent means the fleet's own, in the
            home folder or its bucket.
        bootstrap_servers: Where to ask first, such as `kafka-1:9092,kafka-2:9092`; absent means the local broker of
            the home folder.
        config: Options of librdkafka that are no secret; secret ones come from `$MODELFLEET_KAFKA_CONFIG`.
        create: How to make a topic that is not there; absent means that it must be there.
    """

    PATHS: ClassVar = ("large",)

    kind: Literal["kafka"]
    answers: Topic
    dead_letters: Topic
    max_message_bytes: int | None = Field(default=None, ge=10_000)
    large: str | None = None


class PubsubSinkSpec(Section):
    """Two Pub/Sub topics, written by Beam's own connector; for engine `dataflow`.

    Attributes:
        kind: `pubsub`.
        answers: Topic for answers, such as `projects/my-shop/topics/answers`.
        dead_letters: Topic for dead letters.
        large: Folder, or place below a bucket, for what is larger than a message may be; absent means the fleet's own,
            in the home folder or its bucket. Dataflow's workers keep no folder.
    """

    PATHS: ClassVar = ("large",)

    kind: Literal["pubsub"]
    answers: str = Field(pattern=rf"^{PROJECT}/topics/{RESOURCE}$")
    dead_letters: str = Field(pattern=rf"^{PROJECT}/topics/{RESOURCE}$")
    large: str | None = None


SinkSpec = Annotated[
    Annotated[FolderSinkSpec, Tag("folder")]
    | Annotated[KafkaSinkSpec, Tag("kafka")]
    | Annotated[PubsubSinkSpec, Tag("pubsub")],
    Discriminator(kind_or_folder),
]
