"""Leases: what each serving process says of itself, so that a promotion can be confirmed.

A lease is one small file per process, renewed while the process lives. It is gone when the process closes, and
counts as gone three periods after its last renewal.
"""

from __future__ import annotations

import logging
import os
import re
import socket
import threading
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from modelfleet.bundles.shard_memory import MemoryUse
from modelfleet.serving.failing import FailingModel
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

PERIODS = 3
"""A lease expires this many periods after its renewal."""


class Refusal(BaseModel):
    """A release that a process would not load.

    Attributes:
        generation: Its number.
        reason: One sentence: what is wrong with it.
        passing: Whether it is the process's own trouble, such as a full disk, and it tries again.
    """

    model_config = ConfigDict(frozen=True)

    generation: int
    reason: str
    passing: bool = False

    def as_text(self) -> str:
        """Return what a person reads of it."""
        verb = "cannot load" if self.passing else "refused"
        again = " (its own trouble: it tries again)" if self.passing else ""
        return f"{verb} generation {self.generation}: {self.reason}{again}"


class Lease(BaseModel):
    """What one process serves.

    Attributes:
        process: Its name, unique over hosts and time.
        fleet: Which fleet it serves.
        job: The streaming job it belongs to; empty where it was not told.
        host: Host name.
        pid: Process id on that host.
        serving: The generation that answers; None before the first one is loaded.
        serving_since: When that generation was swapped in; None before the first one.
        bundle: Uri of the bundle that answers; None before the first one is loaded.
        holding: Uri of every bundle it has in memory or is loading, in order: none of them may be removed.
        memory: What its models take, and how often they were there; None before the first one is loaded.
        index_bytes: Bytes of what says which model serves whom, beside the models.
        failed_rows: Rows that models of the serving generation failed.
        failing: The models that failed the most of them.
        refused: Releases newer than ``serving`` (or skipped at start) that it would not load, oldest first.
        renewed_at: When this was written.
        expires_at: When the process counts as gone.
    """

    model_config = ConfigDict(frozen=True)

    process: str
    fleet: str
    job: str
    host: str
    pid: int
    serving: int | None
    serving_since: AwareDatetime | None
    bundle: str | None = None
    holding: tuple[str, ...] = ()
    memory: MemoryUse | None = None
    index_bytes: int = 0
    failed_rows: int = 0
    failing: tuple[FailingModel, ...] = ()
    refused: tuple[Refusal, ...]
    renewed_at: AwareDatetime
    expires_at: AwareDatetime


def process_name() -> str:
    """Return a name for this process: host, process id and a random part; safe as a file name."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:100] or "host"
    return f"{host}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class LeaseFolder:
    """The leases of one fleet.

    Args:
        path: Their folder, here or below a bucket; made when the first one is written.
    """

    def __init__(self, path: Place) -> None:
        self.path = path
        self._store = open_store(path)

    def write(self, lease: Lease) -> None:
        """Write or renew a lease; a reader sees the old one or the new one, never a part."""
        self._store.write(_name(lease.process), lease.model_dump_json(indent=1).encode())

    def remove(self, process: str) -> None:
        """Remove the lease of a process; none there is fine."""
        self._store.remove(_name(process))

    def all(self) -> list[Lease]:
        """Return every readable lease, expired ones too, ordered by process; an unreadable one is logged."""
        return self._all(passing_over=(ValidationError, OSError))

    def _all(self, passing_over: tuple[type[Exception], ...]) -> list[Lease]:
        leases = []
        for name in sorted(name for name in self._store.names() if name.endswith(".json")):
            try:
                leases.append(Lease.model_validate_json(self._store.read(name)))
            except FileNotFoundError:
                continue  # removed between listing and reading
            except passing_over as error:
                logger.warning("lease %s cannot be read and is passed over: %s", self.path / name, error)
        return leases

    def live(self, now: datetime | None = None) -> list[Lease]:
        """Return the leases that have not expired, ordered by process.

        Args:
            now: When, with a time zone; None means now.
        """
        now = now or datetime.now(UTC)
        return [lease for lease in self.all() if lease.expires_at > now]

    def recent(self, now: datetime, grace: timedelta) -> list[Lease]:
        """Return the leases that have not expired for longer than ``grace``, by their own time or by their file's.

        Raises:
            OSError: One cannot be read just now, so that it is not known what its process holds.
        """
        found = []
        for lease in self._all(passing_over=(ValidationError,)):
            with suppress(FileNotFoundError):
                written = self._store.written_at(_name(lease.process))
                if max(lease.expires_at, written) + grace > now:
                    found.append(lease)
        return found

    def sweep(self, now: datetime, *, older_than: timedelta = timedelta(hours=1)) -> None:
        """Remove leases that expired long ago: those of processes that were killed."""
        for lease in self.all():
            if lease.expires_at + older_than < now:
                self.remove(lease.process)


def _name(process: str) -> str:
    return f"{quote(process, safe='')}.json"


class LeaseKeeper:
    """Renews one lease from a thread of its own, so that a long load or prediction never lets it expire.

    Args:
        folder: Where the lease lies.
        make: Returns the lease as it should read now; called from the keeper's thread.
        every_seconds: The renewal period.
    """

    def __init__(self, folder: LeaseFolder, make: Callable[[], Lease], every_seconds: float) -> None:
        self._folder = folder
        self._make = make
        self._every_seconds = every_seconds
        self._wake = threading.Event()
        self._closed = False
        self._writing = threading.Lock()
        self._process: str | None = None
        self._thread = threading.Thread(target=self._run, name="modelfleet-lease", daemon=True)

    def start(self) -> None:
        """Write the lease and go on renewing it."""
        self._renew()
        self._thread.start()

    def renew(self) -> None:
        """Write the lease at once, from the keeper's thread; returns without waiting."""
        self._wake.set()

    def close(self) -> None:
        """Stop renewing and remove the lease; calling it again does nothing."""
        self._closed = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        with self._writing:
            if self._process is not None:
                self._folder.remove(self._process)
                self._process = None

    def _run(self) -> None:
        while not self._closed:
            self._wake.wait(self._every_seconds)
            self._wake.clear()
            self._renew()

    def _renew(self) -> None:
        with self._writing:
            if self._closed:
                return
            lease = self._make()
            self._process = lease.process
            try:
                self._folder.write(lease)
            except OSError as error:  # a full disk must not stop the answers; the next renewal tries again
                logger.warning("lease of %s could not be renewed: %s", lease.process, error)
