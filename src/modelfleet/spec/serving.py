"""The serving section: where requests come from, where answers go, and how a swap is confirmed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from modelfleet.spec.section import Section


class ServingSpec(Section):
    """The streaming job.

    Attributes:
        source: Kind of source; a folder of JSONL files is the one there is.
        requests: Folder watched for request files; absent means the fleet's own below the home folder.
        answers: Folder for answers; absent means the fleet's own.
        dead_letters: Folder for dead letters; absent means the fleet's own.
        max_batch_rows: Most rows predicted in one call.
        poll_seconds: How often the ledger and the request folder are looked at.
        lease_seconds: How often a process renews its lease; it counts as gone after three periods.
        memory_mb: Most megabytes (of 10^6 bytes) that the models may take on a machine, all its processes of the fleet
            together; least recently used shards leave first. Absent means that every model stays in memory.
        predict_seconds: Longest prediction of a batch by one model file. After it the process ends and is started
            again, and the model that did it twice is denied.
        cache: Folder where a machine keeps bundles that are named by a URL; absent means ``cache`` in the home folder.
        cache_mb: Most megabytes of files there; the least recently used bundles leave first, never one in use.
        confirm_timeout_seconds: How long a promotion waits for every live process to serve it.
    """

    source: Literal["folder"] = "folder"
    requests: str | None = None
    answers: str | None = None
    dead_letters: str | None = None
    max_batch_rows: int = Field(default=256, ge=1)
    poll_seconds: float = Field(default=0.5, gt=0)
    lease_seconds: float = Field(default=10.0, gt=0)
    memory_mb: int | None = Field(default=None, ge=1)
    predict_seconds: float = Field(default=30.0, gt=0)
    cache: str | None = None
    cache_mb: int = Field(default=10_000, ge=1)
    confirm_timeout_seconds: float = Field(default=120.0, gt=0)
