"""What a ledger, its leases and its denylist need of a folder, wherever it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol


class Store(Protocol):
    """The files of one folder.

    Whatever is written is seen whole or not at all, and by everybody at once: a name that ``create`` has made is in
    the next ``names`` of any process. Every method raises ``OSError`` where the folder cannot be reached: of a bucket,
    ``StoreUnavailableError`` where a retry may help, ``StoreRefusedError`` where not.
    """

    def names(self) -> list[str]:
        """Return the names of the files that lie directly in it, in any order; none where there is no folder."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Args:
            name: Its name; below a folder in this one, with slashes.

        Raises:
            FileNotFoundError: There is none.
        """
        ...

    def create(self, name: str, content: bytes) -> None:
        """Write a file that is not there yet: of any number of writers at once, exactly one succeeds.

        Raises:
            FileExistsError: It is there. After a connection that broke off it may be this writer's own.
        """
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in the place of any that is there."""
        ...

    def download(self, name: str, path: Path) -> None:
        """Copy a file of any size to a path of this machine, a part at a time.

        Args:
            name: As in ``read``.
            path: Where to; on an error, what is there is no whole file.

        Raises:
            FileNotFoundError: There is none.
        """
        ...

    def upload(self, name: str, path: Path) -> None:
        """Copy a file of this machine, of any size, into the place of any that is there."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file; none there is fine."""
        ...

    def written_at(self, name: str) -> datetime:
        """Return when a file was written last, by the clock of whoever keeps it, with a time zone.

        Raises:
            FileNotFoundError: There is none.
        """
        ...
