"""The resident fleet: the models one process answers with, swapped for newer ones while it answers."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.errors import LedgerEmptyError, ReleaseError
from modelfleet.releases.ledger import Ledger
from modelfleet.serving.cache import BundleCache
from modelfleet.serving.chunk_answer import answer_chunks
from modelfleet.serving.chunk_predict import predict_each
from modelfleet.serving.denylist import Denylist
from modelfleet.serving.lease import PERIODS, Lease, LeaseFolder, LeaseKeeper, Refusal, process_name
from modelfleet.serving.loading import load_release
from modelfleet.serving.memory_share import MemoryShare, index_bytes
from modelfleet.serving.refusals import Refusals
from modelfleet.serving.request import Request
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.serving.single_answer import single_answers
from modelfleet.serving.watchdog import Watchdog
from modelfleet.signing.keyring import Keyring
from modelfleet.stores.place import Place, place

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from modelfleet.releases.manifest import Release
    from modelfleet.serving.answer import Answer, DeadLetter
    from modelfleet.serving.chunk import Chunk
    from modelfleet.serving.chunk_answer import ChunkOutcome
    from modelfleet.serving.loading import LoadedFleet

logger = logging.getLogger(__name__)

FAILING_TOLD = 10
"""So many failing models are named in a lease."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class ResidentFleet:
    """Answers requests with the newest release that is ready, and makes newer ones ready in the background.

    A batch takes the serving reference once, so every answer of it is by one generation. A release that cannot be
    loaded is refused once, with the reason in the process's lease, and the last good one keeps answering.

    Args:
        ledger: The fleet's releases.
        leases: Where this process reports.
        fleet: The fleet's name.
        process: This process's name; None makes one up.
        job: The streaming job it belongs to.
        lease_seconds: How often the lease is renewed.
        poll_seconds: How often the ledger is looked at without a notice: a process that gets no requests hears of a
            release only so.
        memory_bytes: Most bytes that the models of all this machine's processes of the fleet may take together; None
            for no limit.
        denylist: Where models go that end a process.
        marks: As in ``Denylist``.
        predict_seconds: A prediction that takes longer ends the process. None, or no denylist: it may take any time,
            and nothing is denied.
        cache: Where bundles that are named by a URL are kept; None reads them there.
        clock: Returns the time, with a time zone.
    """

    def __init__(
        self,
        ledger: Ledger,
        leases: LeaseFolder,
        *,
        fleet: str,
        process: str | None = None,
        job: str = "",
        lease_seconds: float = 10.0,
        poll_seconds: float = 0.5,
        memory_bytes: int | None = None,
        denylist: Place | None = None,
        marks: Path | None = None,
        predict_seconds: float | None = None,
        cache: BundleCache | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.fleet = fleet
        self.process = process or process_name()
        self._ledger = ledger
        self._leases = leases
        self._job = job
        self._lease_seconds = lease_seconds
        self._poll_seconds = poll_seconds
        self._host = socket.gethostname()
        self._share = MemoryShare(memory_bytes, leases, process=self.process, host=self._host)
        self._memory = self._share.memory
        self._watchdog: Watchdog | None = None
        if denylist is not None and predict_seconds is not None:
            self._watchdog = Watchdog(Denylist(denylist, marks), self.process, predict_seconds)
        self._cache = cache
        self._clock = clock
        self._serving: LoadedFleet | None = None
        self._serving_since: datetime | None = None
        self._loading: str | None = None
        self._held: weakref.WeakSet[LoadedFleet] = weakref.WeakSet()
        self._refusals = Refusals(poll_seconds)
        self._state = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._loader = threading.Thread(target=self._load_until_closed, name="modelfleet-loader", daemon=True)
        self._keeper = LeaseKeeper(leases, self._lease, lease_seconds)

    def start(self) -> None:
        """Load the newest release that can be loaded, write the lease, and go on looking for newer releases.

        Raises:
            LedgerEmptyError: The fleet has no release.
            ReleaseError: None of its releases can be loaded; the message has the reason for each.
        """
        if self._watchdog is not None:
            self._watchdog.denylist.refresh()
            self._watchdog.start()
        self._share_memory()
        self._load_newer()
        if self._serving is None:
            self.close()
            if not self.refused:
                raise LedgerEmptyError(self.fleet)
            reasons = "; ".join(f"generation {one.generation}: {one.reason}" for one in self.refused)
            raise ReleaseError(f"fleet '{self.fleet}': no release can be loaded: {reasons}")
        self._leases.sweep(self._clock())
        self._keeper.start()
        self._loader.start()
        atexit.register(self.close)

    def notice(self, generation: int) -> None:
        """Take note that a release may be there; returns at once. Older and repeated ones do nothing."""
        serving = self._serving
        if (serving is None or generation > serving.generation) and not self._refusals.for_good(generation):
            self._wake.set()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closed

    @property
    def generation(self) -> int:
        """The generation that answers now."""
        return self._current().generation

    @property
    def refused(self) -> tuple[Refusal, ...]:
        """The releases this process would not load, or cannot load yet, oldest first."""
        return self._refusals.all()

    def predict(self, requests: Sequence[Request | Chunk]) -> list[Answer | DeadLetter | ChunkOutcome]:
        """Answer a batch; one result per request or chunk, in order. Never raises for data.

        Args:
            requests: Any number of them; all are answered by one generation.
        """
        serving = self._current()
        singles = [request for request in requests if isinstance(request, Request)]
        predicted = predict_each(serving, [request.row for request in singles])
        now = self._clock()
        answers = single_answers(
            singles, predicted, fleet=self.fleet, process=self.process, generation=serving.generation, now=now
        )
        if len(singles) == len(requests):
            return list(answers)
        chunks = [request for request in requests if not isinstance(request, Request)]
        outcomes = answer_chunks(serving, chunks, fleet=self.fleet, process=self.process, now=now)
        return [next(answers) if isinstance(request, Request) else next(outcomes) for request in requests]

    def close(self) -> None:
        """Stop the threads and remove the lease; calling it again does nothing."""
        self._closed = True
        self._wake.set()
        self._keeper.close()
        if self._loader.is_alive() and self._loader is not threading.current_thread():
            self._loader.join(timeout=5)
        if self._watchdog is not None:
            self._watchdog.close()
        atexit.unregister(self.close)

    def _current(self) -> LoadedFleet:
        serving = self._serving
        if serving is None:
            raise ReleaseError(f"fleet '{self.fleet}': nothing is loaded yet; call start() first")
        return serving

    def _load_until_closed(self) -> None:
        while not self._closed:
            self._wake.wait(self._poll_seconds)
            self._wake.clear()
            if self._closed:
                return
            try:
                if self._watchdog is not None:
                    self._watchdog.denylist.refresh()
                self._share_memory()
                self._load_newer()
                self._share.fill(self._current().models)
            except Exception:  # a ledger that cannot be listed now may be listed at the next look
                logger.exception("fleet %s: looking for a newer release failed; trying again", self.fleet)

    def _share_memory(self) -> None:
        with self._state:
            held = [one.models for one in self._held]
        self._share.adjust(held, self._clock())

    def _load_newer(self) -> None:
        """Load the newest release that can be loaded, if it is newer than what serves."""
        floor = 0 if self._serving is None else self._serving.generation
        in_trouble: set[int] = set()
        for generation in reversed(self._ledger.generations()):
            if generation <= floor or self._closed:
                break
            if self._refusals.for_good(generation):
                continue
            try:
                release = self._ledger.get(generation)
            except ReleaseError as error:  # looked at again: whoever copies a ledger may not be done yet
                in_trouble.add(generation)
                if self._refusals.add_unreadable(generation, str(error)):
                    logger.error("fleet %s: %s", self.fleet, error)
                    self._keeper.renew()
                continue
            if self._refusals.waits(generation):
                in_trouble.add(generation)
            elif self._load(release):
                break
            else:
                in_trouble.add(generation)
        if self._refusals.overcome(in_trouble):
            self._keeper.renew()

    def _load(self, release: Release) -> bool:
        generation = release.generation
        with self._state:
            self._loading = release.bundle.uri
        self._keeper.renew()
        try:
            loaded = load_release(
                release,
                fleet=self.fleet,
                reuse=self._serving,
                memory=self._memory,
                watchdog=self._watchdog,
                cache=self._cache,
            )
        except Exception as error:  # whatever is wrong with a release, the last good one keeps answering
            with self._state:
                self._loading = None
            refusal = self._refusals.add(generation, error)
            logger.error("fleet %s: %s", self.fleet, refusal.as_text())
            self._keeper.renew()
            return False
        with self._state:
            self._loading = None
            self._held.add(loaded)
            self._serving = loaded
            self._serving_since = self._clock()
        self._share_memory()
        if self._watchdog is not None:
            self._watchdog.denylist.expire({file.sha256 for file in loaded.models.files}, self._clock())
        logger.info("fleet %s: generation %d serves", self.fleet, generation)
        self._keeper.renew()
        return True

    def _lease(self) -> Lease:
        now = self._clock()
        with self._state:
            current = self._serving
            since = self._serving_since
            # A batch may still be answered by the one before, which then is in memory until the batch is done
            held = list(self._held)
            uris = {one.uri for one in held} | {self._loading}
        serving = None if current is None else current.generation
        refused = tuple(one for one in self.refused if serving is None or one.generation > serving)
        return Lease(
            process=self.process,
            fleet=self.fleet,
            job=self._job,
            host=self._host,
            pid=os.getpid(),
            serving=serving,
            serving_since=since,
            bundle=None if current is None else current.uri,
            holding=tuple(sorted(uri for uri in uris if uri is not None)),
            memory=None if current is None else self._memory.use,
            index_bytes=index_bytes([one.models for one in held]),
            failed_rows=0 if current is None else current.failing.rows,
            failing=() if current is None else current.failing.worst(FAILING_TOLD),
            refused=refused,
            renewed_at=now,
            expires_at=now + timedelta(seconds=PERIODS * self._lease_seconds),
        )


_residents: dict[tuple[int, ResidentConfig], ResidentFleet] = {}
_residents_lock = threading.Lock()


def _marks(config: ResidentConfig) -> Path | None:
    """Return where this machine keeps its marks of a denylist that is not here: in the cache, as what is the user's."""
    here = not config.cache or isinstance(place(config.denylist), Path)
    return None if here else Path(config.cache) / "marks" / config.fleet


def get_resident(config: ResidentConfig) -> ResidentFleet:
    """Return this process's resident fleet, started; every caller with an equal configuration gets the same one.

    Raises:
        LedgerEmptyError: The fleet has no release.
        ReleaseError: None of its releases can be loaded.
    """
    key = (os.getpid(), config)  # a forked child has none of its parent's threads
    with _residents_lock:
        resident = _residents.get(key)
        if resident is None or resident.closed:
            resident = ResidentFleet(
                Ledger(config.releases, config.leases, keys=Keyring.from_texts(config.public_keys) or None),
                LeaseFolder(place(config.leases)),
                fleet=config.fleet,
                job=config.job,
                lease_seconds=config.lease_seconds,
                poll_seconds=config.poll_seconds,
                memory_bytes=None if config.memory_mb is None else config.memory_mb * 1_000_000,
                denylist=place(config.denylist) if config.denylist else None,
                marks=_marks(config),
                predict_seconds=config.predict_seconds,
                cache=BundleCache(Path(config.cache), config.cache_mb * 1_000_000) if config.cache else None,
            )
            resident.start()
            _residents[key] = resident
        return resident
