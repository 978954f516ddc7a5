"""A folder of this machine, or of a file system that it shares with others."""

from __future__ import annotations

import os
import shutil
import uuid
from datetime import UTC, datetime
from pathlib import Path

from modelfleet.whole_file import replacing, write_whole


class LocalStore:
    """See ``modelfleet.stores.store.Store``.

    Args:
        folder: Made by the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """See ``Store``; folders are named too, which costs less than telling them apart."""
        try:
            return os.listdir(self._folder)
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """See ``Store``."""
        return (self._folder / name).read_bytes()

    def create(self, name: str, content: bytes) -> None:
        """Link the finished file to its name, which fails if the name is taken; see ``Store``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / f".{uuid.uuid4().hex}.tmp"
        try:
            with temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(temporary, self._folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        write_whole(self._folder / name, content)

    def download(self, name: str, path: Path) -> None:
        """See ``Store``."""
        shutil.copyfile(self._folder / name, path)

    def upload(self, name: str, path: Path) -> None:
        """See ``Store``."""
        with replacing(self._folder / name) as temporary:
            shutil.copyfile(path, temporary)

    def remove(self, name: str) -> None:
        """See ``Store``."""
        (self._folder / name).unlink(missing_ok=True)

    def written_at(self, name: str) -> datetime:
        """See ``Store``."""
        return datetime.fromtimestamp((self._folder / name).stat().st_mtime, UTC)
