"""The serving section: where requests come from, where answers go, and how a swap is confirmed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from modelfleet.spec.notices import Notices
from modelfleet.spec.section import Section
from modelfleet.spec.sink import FolderSinkSpec, SinkSpec
from modelfleet.spec.source import FolderSourceSpec, SourceSpec


class ServingSpec(Section):
    """The streaming job.

    Attributes:
        source: Where requests come from; by its `kind`, a folder where it has none.
        sink: Where answers and dead letters go; by its `kind`, folders where it has none.
        max_batch_rows: Most requests predicted in one call, and read from Kafka as one element of the stream.
        poll_seconds: How often the ledger and the request folder are looked at.
        lease_seconds: How often a process renews its lease; it counts as gone after three periods.
        memory_mb: Most megabytes (of 10^6 bytes) that the models may take on a machine, all its processes of the fleet
            together; the least recently used leave first. Absent means that every model stays in memory.
        predict_seconds: Longest prediction of a batch by one model file. After it the process ends and is started
            again, and the model that did it twice is denied.
        cache: Folder where a machine keeps bundles that are named by a URL; absent means ``cache`` in the home folder.
        cache_mb: Most megabytes of files there; the least recently used bundles leave first, never one in use.
        confirm_timeout_seconds: How long a promotion waits for every live process to serve it.
        updates: How the job learns of a release: ``watch`` looks at the ledger every ``poll_seconds``; ``event`` hears
            of it by ``notices``, and looks only with every lease; ``both`` does both.
        notices: Where releases are told of. Absent means nowhere.
    """

    source: SourceSpec = FolderSourceSpec()
    sink: SinkSpec = FolderSinkSpec()
    max_batch_rows: int = Field(default=1024, ge=1)
    poll_seconds: float = Field(default=0.5, gt=0)
    lease_seconds: float = Field(default=10.0, gt=0)
    memory_mb: int | None = Field(default=None, ge=1)
    predict_seconds: float = Field(default=30.0, gt=0)
    cache: str | None = None
    cache_mb: int = Field(default=10_000, ge=1)
    confirm_timeout_seconds: float = Field(default=120.0, gt=0)
    updates: Literal["watch", "event", "both"] = "watch"
    notices: Notices | None = None

    def path_fields(self) -> tuple[str, ...]:
        """Return the fields that name files, such as ``sink.answers``; those of a topic do not."""
        sides = (("source", self.source), ("sink", self.sink))
        return ("cache", *(f"{side}.{name}" for side, section in sides for name in section.PATHS))

    @property
    def ledger_poll_seconds(self) -> float:
        """How often the ledger is looked at: with notices alone it is only the safety net under a lost one."""
        return max(self.poll_seconds, self.lease_seconds) if self.updates == "event" else self.poll_seconds

    @model_validator(mode="after")
    def _notices_named(self) -> ServingSpec:
        if self.updates != "watch" and self.notices is None:
            raise ValueError(f"updates: {self.updates} needs notices, which say where releases are told of")
        return self
