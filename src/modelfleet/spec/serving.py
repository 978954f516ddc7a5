"""The serving section: where requests come from, where answers go, and how a swap is confirmed."""

from __future__ import annotations

from pydantic import Field

from modelfleet.spec.section import Section
from modelfleet.spec.sink import FolderSinkSpec, SinkSpec
from modelfleet.spec.source import FolderSourceSpec, SourceSpec


class ServingSpec(Section):
    """The streaming job.

    Attributes:
        source: Where requests come from; by its `kind`, a folder where it has none.
        sink: Where answers and dead letters go; by its `kind`, folders where it has none.
        max_batch_rows: Most rows predicted in one call.
        poll_seconds: How often the ledger and the request folder are looked at.
        lease_seconds: How often a process renews its lease; it counts as gone after three periods.
        confirm_timeout_seconds: How long a promotion waits for every live process to serve it.
    """

    source: SourceSpec = FolderSourceSpec()
    sink: SinkSpec = FolderSinkSpec()
    max_batch_rows: int = Field(default=256, ge=1)
    poll_seconds: float = Field(default=0.5, gt=0)
    lease_seconds: float = Field(default=10.0, gt=0)
    confirm_timeout_seconds: float = Field(default=120.0, gt=0)

    def path_fields(self) -> tuple[str, ...]:
        """Return the fields that name files, such as ``sink.answers``; those of a topic do not."""
        return tuple(
            f"{side}.{name}"
            for side, section in (("source", self.source), ("sink", self.sink))
            for name in section.PATHS
        )
