"""The name of a folder: of this machine, or below a bucket."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SCHEMES = ("gs", "s3")
"""The kinds of buckets that a ledger may lie in."""


@dataclass(frozen=True)
class Url:
    """A folder or file below a bucket, with as much of what a path can do as its users need.

    Attributes:
        text: Such as ``gs://bucket/fleets/shop``; no slash at its end.
    """

    text: str

    def __truediv__(self, name: str) -> Url:
        """Return what is called so below it."""
        return Url(f"{self.text}/{name}")

    def __str__(self) -> str:
        """Return the whole text."""
        return self.text

    @property
    def name(self) -> str:
        """The part behind the last slash."""
        return self.text.rpartition("/")[2]

    @property
    def parent(self) -> Url:
        """What it lies in; of a bucket, the bucket."""
        above = self.text.rpartition("/")[0]
        return self if above.endswith("/") else Url(above)

    @property
    def scheme(self) -> str:
        """Such as ``gs``."""
        return self.text.partition("://")[0]

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.text.partition("://")[2].partition("/")[0]

    @property
    def key(self) -> str:
        """What comes behind the bucket's name; empty for the bucket."""
        return self.text.partition("://")[2].partition("/")[2]

    @property
    def prefix(self) -> str:
        """What the keys of all objects below it begin with; empty for the bucket."""
        return f"{self.key}/" if self.key else ""


Place = Path | Url


def place(named: str | Place) -> Place:
    """Return a place by its name: a URL if it looks like one, else a path."""
    if isinstance(named, str):
        return Url(named.rstrip("/")) if "://" in named else Path(named)
    return named
