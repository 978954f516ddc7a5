"""The model files a process has in memory: shared by the bundles that have them in common, bounded, and counted."""

from __future__ import annotations

import threading
import weakref
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from modelfleet.bundles.format import ShardFile
    from modelfleet.data.schema import Schema
    from modelfleet.families.base import Predictor

FIRST_GUESS = 2.0
"""Bytes in memory per byte of a file before any was loaded; then what the loaded ones took."""


@dataclass(frozen=True, eq=False)
class Shard:
    """A model file in memory.

    Attributes:
        file: What the manifest says about it.
        schema: Rows for its models are encoded by it.
        predictor: Its models, ready to predict.
        entities: Whose they are, row by row.
        nbytes: Bytes in memory.
    """

    file: ShardFile
    schema: Schema
    predictor: Predictor
    entities: pa.ChunkedArray
    nbytes: int


@dataclass(frozen=True)
class MemoryUse:
    """What a process's models take.

    Attributes:
        nbytes: Bytes of the files in memory.
        limit: Most bytes they may take; None for no limit.
        files: Files in memory.
        hits: How often a wanted file was there.
        misses: How often one had to be loaded.
        evictions: How often one had to leave for another.
    """

    nbytes: int
    limit: int | None
    files: int
    hits: int
    misses: int
    evictions: int


class ShardMemory:
    """Model files by the hash of their bytes.

    A file stays while a loaded bundle that was given this memory lives, and there is room. Under a limit the least
    recently used one leaves first, never one that a prediction is using; whoever needs a file waits until there is
    room for it, or until nobody uses any, so that one file at a time always fits.

    Args:
        limit: Most bytes; None for no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._shards: OrderedDict[str, Shard] = OrderedDict()  # the least recently used first
        self._sizes: dict[str, int] = {}
        self._claims: Counter[str] = Counter()
        self._given_up: deque[tuple[str, ...]] = deque()
        self._users: Counter[str] = Counter()
        self._expected: dict[str, int] = {}  # of the files being loaded now
        self._held = self._loaded_bytes = self._read_bytes = 0
        self._hits = self._misses = self._evictions = 0
        self._changed = threading.Condition(threading.Lock())

    @property
    def limit(self) -> int | None:
        """Most bytes; None for no limit. A lower one than before takes effect at once."""
        return self._limit

    @limit.setter
    def limit(self, limit: int | None) -> None:
        with self._changed:
            self._limit = limit
            self._make_room(0)
            self._changed.notify_all()

    @property
    def use(self) -> MemoryUse:
        """What there is now, and what happened so far."""
        with self._changed:
            self._forget()
            return MemoryUse(self._held, self._limit, len(self._shards), self._hits, self._misses, self._evictions)

    def claim(self, owner: object, hashes: Collection[str]) -> None:
        """Keep files for as long as an owner lives, where there is room; nobody else's stay."""
        with self._changed:
            self._claims.update(hashes)
        # The owner may be collected in any thread at any moment, with the lock held: nothing but a note is left then
        weakref.finalize(owner, self._given_up.append, tuple(hashes)).atexit = False

    def has(self, sha256: str) -> bool:
        """Return whether a file is in memory now."""
        return sha256 in self._shards

    def recent(self) -> list[Shard]:
        """Return what is in memory, the most recently used first."""
        with self._changed:
            return list(reversed(self._shards.values()))

    def fits(self, files: Collection[ShardFile]) -> bool:
        """Return whether files would fit beside everything else that is in memory, by what is known of their size."""
        if self._limit is None:
            return True
        with self._changed:
            self._forget()
            own = {file.sha256 for file in files}
            others = sum(shard.nbytes for sha256, shard in self._shards.items() if sha256 not in own)
            return others + sum(self._size(file) for file in files) <= self._limit

    def size(self, file: ShardFile) -> int:
        """Return the bytes a file takes in memory, guessed where it was never loaded."""
        with self._changed:
            return self._size(file)

    @contextmanager
    def using(self, file: ShardFile, load: Callable[[], Shard]) -> Iterator[Shard]:
        """Give a file's models, loaded where they are not in memory, and keep them there until the block ends.

        Several threads that want the same file load it once. A thread uses one file at a time.

        Args:
            file: Which.
            load: Reads it.
        """
        shard = self._take(file, load)
        try:
            yield shard
        finally:
            with self._changed:
                self._users[file.sha256] -= 1
                if not self._users[file.sha256]:
                    del self._users[file.sha256]
                self._forget()
                if file.sha256 in self._shards and file.sha256 not in self._claims:  # its owner went while it was read
                    self._let_go(file.sha256)
                self._make_room(0)
                self._changed.notify_all()

    def _take(self, file: ShardFile, load: Callable[[], Shard]) -> Shard:
        sha256 = file.sha256
        with self._changed:
            self._forget()
            while True:
                shard = self._shards.get(sha256)
                if shard is not None:
                    self._hits += 1
                    self._shards.move_to_end(sha256)
                    self._users[sha256] += 1
                    return shard
                if sha256 not in self._expected and (self._make_room(self._size(file)) or not self._busy):
                    break
                self._changed.wait()
            self._misses += 1
            self._expected[sha256] = self._size(file)
        try:
            shard = load()
        except BaseException:
            with self._changed:
                del self._expected[sha256]
                self._changed.notify_all()
            raise
        with self._changed:
            del self._expected[sha256]
            self._shards[sha256] = shard
            self._held += shard.nbytes
            self._users[sha256] += 1
            self._sizes[sha256] = shard.nbytes
            self._loaded_bytes += shard.nbytes
            self._read_bytes += file.bytes
            self._make_room(0)
            self._changed.notify_all()
        return shard

    @property
    def _busy(self) -> bool:
        return bool(self._users or self._expected)

    def _size(self, file: ShardFile) -> int:
        ratio = self._loaded_bytes / self._read_bytes if self._read_bytes else FIRST_GUESS
        return self._sizes.get(file.sha256, int(file.bytes * ratio))

    def _make_room(self, wanted: int) -> bool:
        """Let files go until so many bytes more fit; return whether they do."""
        if self._limit is None:
            return True
        most = self._limit - sum(self._expected.values()) - wanted
        if self._held > most:
            for sha256 in [one for one in self._shards if one not in self._users]:
                self._let_go(sha256)
                self._evictions += 1
                if self._held <= most:
                    break
        return self._held <= most

    def _let_go(self, sha256: str) -> None:
        self._held -= self._shards.pop(sha256).nbytes

    def _forget(self) -> None:
        """Let go of what no living bundle has."""
        while self._given_up:
            hashes = self._given_up.popleft()
            self._claims.subtract(hashes)
            for sha256 in hashes:
                if self._claims[sha256] <= 0:
                    del self._claims[sha256]
                    if sha256 in self._shards:
                        self._let_go(sha256)
                    self._sizes.pop(sha256, None)
