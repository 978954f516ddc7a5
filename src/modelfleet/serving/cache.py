"""The bundles of elsewhere on this machine: each file downloaded once, checked whenever it is read, and bounded.

``files/<sha256>`` holds files by the hash of their bytes, so that what two bundles have in common is there once.
``manifests/<sha256>.json`` holds each bundle's manifest; whoever has the bundle in use holds a shared lock on it, which
ends with the process. ``locks/`` keeps two processes from downloading the same file.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.bundles.format import BundleManifest
from modelfleet.bundles.storage import RemoteStorage, checked
from modelfleet.errors import BundleError
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from modelfleet.bundles.format import IndexFile, ShardFile

logger = logging.getLogger(__name__)

PARTIAL = ".partial"
"""Ends the name of a file that is being written; only who holds its lock writes it."""


class BundleCache:
    """Downloaded bundles, shared by all processes of a machine.

    Args:
        folder: Made if absent.
        limit: Most bytes of files; the least recently used leave first, never one of a bundle in use. What finds no
            room is used without being kept.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def storage(self, url: str, sha256: str) -> CachedStorage:
        """Return the storage of a bundle, which is in use for as long as that object lives.

        Args:
            url: Where the bundle is.
            sha256: Of its manifest.

        Raises:
            BundleError: Its manifest cannot be read.
        """
        return CachedStorage(self, url, sha256)

    def manifest(self, sha256: str, fetch: Callable[[], bytes]) -> tuple[bytes, int | None]:
        """Return a manifest, and the file whose lock keeps the bundle in use; None where it is another bundle's."""
        path = self._folder / "manifests" / f"{sha256}.json"
        while True:
            with self._locked(sha256):
                data = _read(path)
                if data is None or hashlib.sha256(data).hexdigest() != sha256:
                    data = fetch()
                    if hashlib.sha256(data).hexdigest() != sha256:
                        return data, None  # whoever opens it says what is wrong
                    write_whole(path, data)
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(file, fcntl.LOCK_SH)
            with suppress(FileNotFoundError):
                if os.stat(path).st_ino == os.fstat(file).st_ino:
                    return data, file
            os.close(file)  # it was evicted just before it was locked

    def read(self, part: ShardFile | IndexFile, fetch: Callable[[], bytes]) -> bytes:
        """Return a file's bytes, downloaded where they are not here or not what they should be.

        Args:
            part: Which, and what its bytes must be.
            fetch: Downloads and checks them.

        Raises:
            BundleError: They cannot be downloaded, or are wrong twice.
        """
        path = self._folder / "files" / part.sha256
        found = self._cached(path, part)
        if found is not None:
            return found
        with self._locked(part.sha256):
            found = self._cached(path, part)  # another process may have been faster
            if found is not None:
                return found
            try:
                data = fetch()
            except BundleError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    raise
                logger.warning("%s; once more", error)
                data = fetch()
            self._keep(path, data)
        return data

    def piece(self, part: ShardFile | IndexFile, begin: int, end: int) -> bytes | None:
        """Return some of a file's bytes, not checked; None where the file is not here."""
        try:
            with (self._folder / "files" / part.sha256).open("rb") as stream:
                stream.seek(begin)
                return stream.read(end - begin)
        except OSError:
            return None

    def _cached(self, path: Path, part: ShardFile | IndexFile) -> bytes | None:
        data = _read(path)
        if data is None:
            return None
        try:
            checked(data, part, str(path))
        except BundleError as error:
            logger.warning("%s; it is removed from the cache and downloaded again", error)
            path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)  # when it was used last
        return data

    def _keep(self, path: Path, data: bytes) -> None:
        """Keep a file if there is room; its lock is held."""
        partial = path.with_name(path.name + PARTIAL)
        try:
            if not self._make_room(len(data)):
                logger.warning(
                    "the bundles in use leave no room for %d bytes in %s, which holds %d: it is not kept; raise "
                    "serving.cache_mb", len(data), self._folder, self._limit,
                )  # fmt: skip
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(path)
        except OSError as error:  # a full disk must not keep a release from serving
            logger.warning("%s cannot be kept in the cache: %s", path.name, error)
            partial.unlink(missing_ok=True)

    def _make_room(self, wanted: int) -> bool:
        """Remove files that no bundle in use has, the least recently used first, until so many bytes fit."""
        with self._locked("all"):
            entries = [(entry.stat(), Path(entry.path)) for entry in _scan(self._folder / "files")]
            held = sum(stat.st_size for stat, _ in entries)
            if held + wanted <= self._limit:
                return True
            used = self._in_use()
            for stat, path in sorted(entries, key=lambda entry: entry[0].st_mtime_ns):
                if path.name in used or (path.suffix == PARTIAL and not self._abandoned(path)):
                    continue
                path.unlink(missing_ok=True)
                held -= stat.st_size
                if held + wanted <= self._limit:
                    return True
            return False

    def _in_use(self) -> set[str]:
        """Return the hashes of the files of every bundle that a living process has; forget the other bundles."""
        used: set[str] = set()
        for entry in _scan(self._folder / "manifests"):
            with suppress(FileNotFoundError):
                file = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)  # its files stay while there is room
                except BlockingIOError:
                    manifest = BundleManifest.model_validate_json(os.pread(file, os.fstat(file).st_size, 0))
                    used |= {manifest.index.sha256, *(part.sha256 for part in manifest.files)}
                finally:
                    os.close(file)
        return used

    def _abandoned(self, partial: Path) -> bool:
        """Return whether whoever was writing a file is gone."""
        try:
            with self._locked(partial.name.removesuffix(PARTIAL), wait=False):
                return True
        except BlockingIOError:
            return False

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[None]:
        path = self._folder / "locks" / name[:3]  # some thousand at most; a lock file cannot be removed safely
        path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield
        finally:
            os.close(file)


class CachedStorage:
    """A remote bundle, read by way of the cache; see ``modelfleet.bundles.storage.Storage``."""

    def __init__(self, cache: BundleCache, url: str, sha256: str) -> None:
        self._cache = cache
        self._remote = RemoteStorage(url)
        self.where = self._remote.where
        self._manifest, lock = cache.manifest(sha256, self._remote.manifest)
        if lock is not None:
            weakref.finalize(self, os.close, lock)

    def manifest(self) -> bytes:
        """Return ``bundle.json``."""
        return self._manifest

    def read(self, part: ShardFile | IndexFile) -> bytes:
        """Return a file after checking the number and the hash of its bytes."""
        return self._cache.read(part, lambda: self._remote.read(part))

    def piece(self, part: ShardFile | IndexFile, begin: int, end: int) -> bytes:
        """Return some of a file's bytes, not checked unless the whole file had to be downloaded."""
        found = self._cache.piece(part, begin, end)
        return self.read(part)[begin:end] if found is None else found


def _read(path: Path) -> bytes | None:
    """Return a file's bytes; None where it is not there or cannot be read, which is the same to a cache."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _scan(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []
