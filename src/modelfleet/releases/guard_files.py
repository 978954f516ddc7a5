"""The files below a bucket by which publishers and the collector of a fleet tell each other what they do."""

from __future__ import annotations

import logging
import os
import socket
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from modelfleet.stores.store import Store

logger = logging.getLogger(__name__)

COLLECTING = "collecting.json"
HOLDS = "holds"


class Mark(BaseModel):
    """Who holds bundles, or collects.

    Attributes:
        id: Random; by it whoever wrote the mark recognises it.
        host: Host name.
        pid: Process id there.
        since: When, by the clock of that host.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    host: str
    pid: int
    since: AwareDatetime

    @classmethod
    def new(cls) -> Mark:
        """Return a mark of this process."""
        return cls(id=uuid.uuid4().hex, host=socket.gethostname(), pid=os.getpid(), since=datetime.now(UTC))

    @property
    def hold(self) -> str:
        """Name of its hold."""
        return f"{HOLDS}/{self.id}.json"

    def as_bytes(self) -> bytes:
        """Return a file's content."""
        return self.model_dump_json(indent=1).encode()

    def as_text(self) -> str:
        """Return who it is, for a message."""
        return f"process {self.pid} on {self.host} since {self.since:%Y-%m-%d %H:%M:%S %Z}"


def read_mark(store: Store, name: str) -> Mark | None:
    """Return what a file says; None where there is none, and somebody unknown where it cannot be understood."""
    try:
        content = store.read(name)
        return Mark.model_validate_json(content)
    except FileNotFoundError:
        return None
    except ValidationError:
        return Mark(id=name, host="an unknown host", pid=0, since=datetime.fromtimestamp(0, UTC))


def seconds_before(store: Store, one: str, other: str) -> float | None:
    """Return how long before another file one was written, by the bucket's clock; None where one of them is gone."""
    try:
        return (store.written_at(other) - store.written_at(one)).total_seconds()
    except FileNotFoundError:
        return None


def forget(store: Store, name: str) -> None:
    """Remove a file of one's own; where that fails it counts for nothing once it is old, and what was done is done."""
    try:
        store.remove(name)
    except OSError as error:
        logger.warning("%s could not be removed and is passed over once it is old: %s", name, error)
