"""What collecting has removed and kept, and why."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

Kind = Literal["bundle", "published", "run", "copy", "savepoint", "part"]


class Item(BaseModel):
    """Something that was looked at.

    Attributes:
        kind: ``bundle`` on this machine, ``published`` for one below the bucket, ``run`` (a run's folder), ``copy``
            (files of a run or a scoring job below the bucket, for its workers), ``savepoint`` or ``part`` (a file of
            answers or dead letters).
        path: Where it is, or was: a folder, a file or a URL.
        bytes: Its size; 0 for what is kept.
        reasons: Why it is kept; empty for what is removed.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    path: str
    bytes: int = 0
    reasons: tuple[str, ...] = ()

    @classmethod
    def kept(cls, kind: Kind, path: object, reasons: Iterable[str]) -> Item:
        """Return something that stays."""
        return cls(kind=kind, path=str(path), reasons=tuple(reasons))

    @classmethod
    def removed(cls, kind: Kind, path: object, size: int) -> Item:
        """Return something that goes, and its size in bytes."""
        return cls(kind=kind, path=str(path), bytes=size)

    def as_text(self) -> str:
        """Return what became of it, for a log."""
        if self.reasons:
            return f"keep {self.path}: {'; '.join(self.reasons)}"
        return f"remove {self.path}: {self.bytes:,} bytes, needed by nothing"


class Collected(BaseModel):
    """What was removed and what was kept.

    Attributes:
        fleet: The fleet.
        dry_run: Whether nothing was really removed.
        removed: What nothing needed.
        kept: What something needs.
    """

    model_config = ConfigDict(frozen=True)

    fleet: str
    dry_run: bool
    removed: tuple[Item, ...]
    kept: tuple[Item, ...]

    @property
    def bytes(self) -> int:
        """How much room that made."""
        return sum(item.bytes for item in self.removed)
