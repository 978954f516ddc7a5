"""Marks: what a process is predicting, left behind where prediction ends the process.

Each process has one small file in memory that it shares with the disk. Setting a mark copies some bytes; it survives
whatever kills the process. The process holds a lock on its file, so whoever can take the lock knows that the process
is gone, whatever lives under its number by then.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import queue
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

SLOTS = 64
"""So many threads of a process can predict at once; others wait."""

MOST_ROWS = 4096
"""So many rows of a call are remembered; of a larger one, the whole file is under suspicion."""

SUFFIX = ".mark"

_HEADER = struct.Struct("<qq64s512s")  # how many rows (-1: all of the file), generation, sha256 and path of the file
_SLOT = _HEADER.size + 4 * MOST_ROWS
_IDLE = struct.pack("<q", 0)


@dataclass(frozen=True)
class Marked:
    """A prediction that was under way.

    Attributes:
        generation: Whose.
        sha256: The model file's hash.
        path: The file, relative to the bundle.
        rows: Rows of the file whose models were asked, each once, ascending; None for any of them.
    """

    generation: int
    sha256: str
    path: str
    rows: tuple[int, ...] | None


class MarkFile:
    """The marks of this process.

    Args:
        folder: Where; made if absent.
        process: This process's name.
    """

    def __init__(self, folder: Path, process: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{quote(process, safe='')}{SUFFIX}"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.ftruncate(self._file, SLOTS * _SLOT)
        self._map = mmap.mmap(self._file, SLOTS * _SLOT)
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(SLOTS):
            self._free.put(slot)

    @contextmanager
    def setting(self, generation: int, sha256: str, path: str, model: NDArray[np.int32]) -> Iterator[int]:
        """Mark a prediction until the block ends, and give the number of its slot.

        Args:
            generation: Whose.
            sha256: The model file's hash.
            path: The file, relative to the bundle.
            model: (n,) rows of the file whose models are asked.
        """
        slot = self._free.get()
        at = slot * _SLOT
        count = len(model) if len(model) <= MOST_ROWS else -1
        if count > 0:
            self._map[at + _HEADER.size : at + _HEADER.size + 4 * count] = model.astype("<i4", copy=False).tobytes()
        # The count last: a mark is whole when it has one
        _HEADER.pack_into(self._map, at, 0, generation, sha256.encode(), path.encode()[:512])
        struct.pack_into("<q", self._map, at, count)
        try:
            yield slot
        finally:
            self._map[at : at + 8] = _IDLE
            self._free.put(slot)

    def read(self, slot: int) -> Marked | None:
        """Return what is marked in a slot; None where nothing is."""
        return _read(self._map[slot * _SLOT : (slot + 1) * _SLOT])

    def close(self) -> None:
        """Remove the file; marks of predictions still under way are set in memory only from then on."""
        self.path.unlink(missing_ok=True)
        os.close(self._file)


def take_left_behind(folder: Path) -> list[Marked]:
    """Return what processes that are gone were predicting, and remove their marks: whoever calls first gets them."""
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        with suppress(FileNotFoundError):
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(path).st_ino == os.fstat(file).st_ino:
                    data = os.pread(file, SLOTS * _SLOT, 0)
                    marks = [_read(data[first : first + _SLOT]) for first in range(0, len(data), _SLOT)]
                    found += [mark for mark in marks if mark is not None]
                    path.unlink()
            except BlockingIOError:
                continue  # its process lives
            finally:
                os.close(file)
    return found


def _read(slot: bytes) -> Marked | None:
    if len(slot) < _SLOT:
        return None
    count, generation, sha256, path = _HEADER.unpack_from(slot)
    if count == 0:
        return None
    rows = None if count < 0 else np.frombuffer(slot, "<i4", count, _HEADER.size)
    return Marked(
        generation,
        sha256.decode("ascii", "replace"),
        path.rstrip(b"\0").decode("utf-8", "replace"),
        None if rows is None else tuple(np.unique(rows).tolist()),
    )
