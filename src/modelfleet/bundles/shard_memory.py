"""The models a process has in memory, by file or by block: shared by the bundles that have them in common, bounded."""

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

Key = tuple[str, int | None]

FIRST_GUESS = 2.0
"""Bytes in memory per byte of a file before any was loaded; then what the loaded ones took."""


@dataclass(frozen=True, eq=False)
class Part:
    """What is loaded at once: a model file, or one block of it.

    Attributes:
        file: What the manifest says about the file.
        block: Number of the block; None for the whole file.
        nbytes: Its bytes in the file.
        key: Tells it from all others, by the hash of the file's bytes.
    """

    file: ShardFile
    block: int | None
    nbytes: int
    key: Key

    @classmethod
    def whole(cls, file: ShardFile) -> Part:
        """Return a file as one part."""
        return cls(file, None, file.bytes, (file.sha256, None))

    @classmethod
    def of(cls, file: ShardFile, block: int, nbytes: int) -> Part:
        """Return a block of a file, of so many bytes."""
        return cls(file, block, nbytes, (file.sha256, block))


@dataclass(frozen=True, eq=False)
class Shard:
    """A model file in memory, or a block of one.

    Attributes:
        file: What the manifest says about the file.
        schema: Rows for its models are encoded by it.
        predictor: Its models, ready to predict.
        entities: Whose they are, row by row.
        nbytes: Bytes in memory.
        first: Row in the file of its first model.
        block: Number of the block; None for the whole file.
    """

    file: ShardFile
    schema: Schema
    predictor: Predictor
    entities: pa.ChunkedArray
    nbytes: int
    first: int = 0
    block: int | None = None

    def entity(self, row: int) -> str:
        """Return whose model a row of the file is."""
        entity: str = self.entities[row - self.first].as_py()
        return entity


@dataclass(frozen=True)
class MemoryUse:
    """What a process's models take.

    Attributes:
        nbytes: Bytes of the models in memory.
        limit: Most bytes they may take; None for no limit.
        files: Files in memory; where files are read in blocks, blocks.
        hits: How often a wanted one was there.
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
    """Model files, or blocks of them, by the hash of the file's bytes.

    A part stays while a loaded bundle that was given this memory and has its file lives, and there is room. Under a
    limit the least recently used one leaves first, never one that a prediction is using; whoever needs a part waits
    until there is room for it, or until nobody uses any, so that one part at a time always fits.

    Args:
        limit: Most bytes; None for no limit.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._shards: OrderedDict[Key, Shard] = OrderedDict()  # the least recently used first
        self._sizes: dict[Key, int] = {}
        self._claims: Counter[str] = Counter()
        self._given_up: deque[tuple[str, ...]] = deque()
        self._users: Counter[Key] = Counter()
        self._expected: dict[Key, int] = {}  # of what is being loaded now
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

    def has(self, part: Part) -> bool:
        """Return whether a part is in memory now."""
        return part.key in self._shards

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
            others = sum(shard.nbytes for shard in self._shards.values() if shard.file.sha256 not in own)
            return others + sum(self._size(Part.whole(file)) for file in files) <= self._limit

    def size(self, part: Part) -> int:
        """Return the bytes a part takes in memory, guessed where it was never loaded."""
        with self._changed:
            return self._size(part)

    @contextmanager
    def using(self, part: Part, load: Callable[[], Shard]) -> Iterator[Shard]:
        """Give a part's models, loaded where they are not in memory, and keep them there until the block ends.

        Several threads that want the same part load it once. A thread uses one part at a time.

        Args:
            part: Which.
            load: Reads it.
        """
        shard = self._take(part, load)
        key = part.key
        try:
            yield shard
        finally:
            with self._changed:
                self._users[key] -= 1
                if not self._users[key]:
                    del self._users[key]
                self._forget()
                if key in self._shards and part.file.sha256 not in self._claims:  # its owner went while it was read
                    self._let_go(key)
                self._make_room(0)
                self._changed.notify_all()

    def _take(self, part: Part, load: Callable[[], Shard]) -> Shard:
        key = part.key
        with self._changed:
            self._forget()
            while True:
                shard = self._shards.get(key)
                if shard is not None:
                    self._hits += 1
                    self._shards.move_to_end(key)
                    self._users[key] += 1
                    return shard
                if key not in self._expected and (self._make_room(self._size(part)) or not self._busy):
                    break
                self._changed.wait()
            self._misses += 1
            self._expected[key] = self._size(part)
        try:
            shard = load()
        except BaseException:
            with self._changed:
                del self._expected[key]
                self._changed.notify_all()
            raise
        with self._changed:
            del self._expected[key]
            self._shards[key] = shard
            self._held += shard.nbytes
            self._users[key] += 1
            self._sizes[key] = shard.nbytes
            self._loaded_bytes += shard.nbytes
            self._read_bytes += part.nbytes
            self._make_room(0)
            self._changed.notify_all()
        return shard

    @property
    def _busy(self) -> bool:
        return bool(self._users or self._expected)

    def _size(self, part: Part) -> int:
        ratio = self._loaded_bytes / self._read_bytes if self._read_bytes else FIRST_GUESS
        return self._sizes.get(part.key, int(part.nbytes * ratio))

    def _make_room(self, wanted: int) -> bool:
        """Let parts go until so many bytes more fit; return whether they do."""
        if self._limit is None:
            return True
        most = self._limit - sum(self._expected.values()) - wanted
        if self._held > most:
            gone = []
            left = self._held
            for key, shard in self._shards.items():  # thousands of them, of which one or two usually suffice
                if key not in self._users:
                    gone.append(key)
                    left -= shard.nbytes
                    if left <= most:
                        break
            for key in gone:
                self._let_go(key)
            self._evictions += len(gone)
        return self._held <= most

    def _let_go(self, key: Key) -> None:
        self._held -= self._shards.pop(key).nbytes

    def _forget(self) -> None:
        """Let go of what no living bundle has."""
        given_up: set[str] = set()
        while self._given_up:
            hashes = self._given_up.popleft()
            self._claims.subtract(hashes)
            given_up.update(hashes)
        unclaimed = {sha256 for sha256 in given_up if self._claims[sha256] <= 0}
        for sha256 in unclaimed:
            del self._claims[sha256]
        if unclaimed:
            for key in [key for key in self._shards if key[0] in unclaimed]:
                self._let_go(key)
            for key in [key for key in self._sizes if key[0] in unclaimed]:
                del self._sizes[key]
