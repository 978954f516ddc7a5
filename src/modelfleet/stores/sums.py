"""What the files below a url must be: for each its size and sha256, told once it is written whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from modelfleet.errors import CopyError
from modelfleet.stores.opening import open_store

if TYPE_CHECKING:
    from modelfleet.stores.place import Url

FOLDER = "sums"

AGAIN = "run the same step again, which sends and makes its files anew"


@dataclass(frozen=True)
class Sum:
    """What a file's content must be.

    Attributes:
        size: In bytes.
        sha256: Its hash, in hexadecimal.
    """

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> Sum:
        """Return the sum of some content."""
        return cls(len(content), hashlib.sha256(content).hexdigest())


Said = dict[str, frozenset[Sum]]
"""By a file's name, what it may be: two workers that did the same work may have left two contents, both good."""


class Sums:
    """The sums of the files below a url.

    Each is the name of a file of its own, ``sums/<name>@<bytes>@<sha256>``, so that one listing tells of a whole
    folder, writers need not know of each other, and a file whose writer died before it said so is nobody's.

    Args:
        url: What the names of the files are below of.
    """

    def __init__(self, url: Url) -> None:
        self._url = url
        self._store = open_store(url)

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in the place of any that is there, and then tell what it is."""
        self._store.write(name, content)
        told = Sum.of(content)
        # Not empty, since some stores and tools take an empty file for a folder's mark
        self._store.write(_file(name, told), f"{told.sha256}\n".encode())

    def forget(self, said: Mapping[str, Iterable[Sum]]) -> list[str]:
        """Return the files by which these sums were told, for whoever removes them."""
        return [_file(name, told) for name, tolds in said.items() for told in tolds]

    def said(self, *patterns: str) -> Said:
        """Return the sums of the files that a pattern fits, in the order of the patterns.

        Args:
            patterns: Of ``fnmatch`` for a file's name, behind the name of its folder, if any.
        """
        folders = {pattern.rpartition("/")[0] for pattern in patterns}
        listed = {folder: self.folder(folder) for folder in folders}
        found: Said = {}
        for pattern in patterns:
            folder = listed[pattern.rpartition("/")[0]]
            found |= {name: folder[name] for name in folder if fits(name, pattern)}
        return found

    def folder(self, folder: str) -> Said:
        """Return the sums of the files directly in a folder, by their names below the url; "" is the url itself."""
        found: dict[str, set[Sum]] = {}
        for entry in open_store(self._url / "/".join(filter(None, (FOLDER, folder)))).names():
            name, _, told = entry.rpartition("@")
            name, _, size = name.rpartition("@")
            if name and size.isdigit():
                found.setdefault(f"{folder}/{name}" if folder else name, set()).add(Sum(int(size), told))
        return {name: frozenset(found[name]) for name in sorted(found)}

    def read(self, name: str, sums: frozenset[Sum]) -> bytes:
        """Return a file's content after checking it.

        Args:
            name: Its name below the url.
            sums: What it may be; at least one.

        Raises:
            CopyError: It is not there, or is something else.
        """
        expected = " or ".join(sorted(f"{told.size} bytes of sha256 {told.sha256}" for told in sums))
        try:
            content = self._store.read(name)
        except FileNotFoundError:
            raise CopyError(
                f"{self._url}/{name}: is not there, expected {expected}: removed since it was written; {AGAIN}, "
                "and let no rule of the bucket delete the files of a run that is under way"
            ) from None
        seen = Sum.of(content)
        if seen not in sums:
            raise CopyError(
                f"{self._url}/{name}: {seen.size} bytes of sha256 {seen.sha256}, expected {expected}: "
                f"truncated or altered since it was written; {AGAIN}"
            )
        return content


def fits(name: str, pattern: str) -> bool:
    """Return whether a file has a name that the pattern's last part fits, and lies directly in the pattern's folder."""
    folder, _, last = name.rpartition("/")
    in_folder, _, wanted = pattern.rpartition("/")
    return folder == in_folder and fnmatch(last, wanted)


def _file(name: str, told: Sum) -> str:
    return f"{FOLDER}/{name}@{told.size}@{told.sha256}"
