"""The denylist: models that ended a process, shared by all processes of a fleet, so that none does it again.

A model is known by its file's hash and its row there, so an entry holds as long as the file serves, whatever release
names it, and a model trained anew starts with a clean slate. One file per model: ``<sha256>-<row>.suspect.json`` where
a process ended while the model was being asked among others, ``<sha256>-<row>.denied.json`` where it did so again when
it was asked alone. Whoever deletes a file lifts the entry.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from modelfleet.serving.mark import take_left_behind
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelfleet.serving.mark import Marked

logger = logging.getLogger(__name__)

ANY_ROW = -1
"""Stands for every model of a file, where a call was too large for its rows to be remembered."""

STALE = timedelta(hours=1)
"""An entry of a file that does not serve here any more is kept so long, for those that still serve it."""

_NAME = re.compile(r"([0-9a-f]{64})-(-?\d+)\.(suspect|denied)\.json")

Verdict = Literal["suspect", "denied"]


class Entry(BaseModel):
    """A model under suspicion, or denied.

    Attributes:
        sha256: Hash of its file.
        row: Its row there; -1 for any.
        path: The file, relative to its bundle.
        generation: The release that was serving.
        entity: Whose model it is; None where that was not known (a process that crashed left only the row).
        reason: What happened.
        at: When.
    """

    model_config = ConfigDict(frozen=True)

    sha256: str
    row: int
    path: str
    generation: int
    entity: str | None = None
    reason: str
    at: AwareDatetime


class Denylist:
    """The entries of one fleet, as this process last read them.

    Args:
        folder: Where they lie, here or below a bucket; made when the first one is written.
        marks: Folder of this machine for the marks of its processes; None means one below ``folder``, or where that is
            no folder of this machine, one in its folder for temporary files.
    """

    def __init__(self, folder: Place, marks: Path | None = None) -> None:
        self.folder = folder
        self.marks = marks or _marks_beside(folder)
        self._store = open_store(folder)
        self._entries: dict[Verdict, Mapping[str, Mapping[int, Entry]]] = {"suspect": {}, "denied": {}}
        self._names: frozenset[str] = frozenset()

    def refresh(self) -> None:
        """Take note of processes that ended while they predicted, and read what is new."""
        for mark in take_left_behind(self.marks):
            self.accuse(mark, "the process ended while it was predicting")
        names = frozenset(name for name in self._store.names() if name.endswith(".json"))
        if names != self._names:
            self._entries = {"suspect": self._read("suspect"), "denied": self._read("denied")}
            self._names = names

    def known(self, verdict: Verdict, sha256: str) -> Mapping[int, Entry]:
        """Return the entries of a file by row; costs nothing where there is none."""
        return self._entries[verdict].get(sha256, MappingProxyType({}))

    def all(self, verdict: Verdict) -> list[Entry]:
        """Return every entry, the newest first."""
        entries = [entry for rows in self._read(verdict).values() for entry in rows.values()]
        return sorted(entries, key=lambda entry: (entry.at, entry.sha256, entry.row), reverse=True)

    def accuse(self, mark: Marked, reason: str) -> None:
        """Write down who was asked when a process ended: denied, if it was a suspect asked alone, else suspects."""
        rows = (ANY_ROW,) if mark.rows is None else mark.rows
        alone = len(rows) == 1 and rows[0] != ANY_ROW and self._suspected(mark.sha256, rows[0])
        verdict: Verdict = "denied" if alone else "suspect"
        for row in rows:
            entry = Entry(
                sha256=mark.sha256, row=row, path=mark.path, generation=mark.generation, reason=reason,
                at=datetime.now(UTC),
            )  # fmt: skip
            self._write(verdict, entry)
        if alone:
            self._store.remove(_name("suspect", mark.sha256, rows[0]))
        logger.error(
            "%s of generation %d: %s: %d of its models are %s",
            mark.path, mark.generation, reason, len(rows), "denied" if alone else "under suspicion",
        )  # fmt: skip

    def path(self, entry: Entry) -> Place:
        """Return the file that denies a model; without it the model is asked again."""
        return self.folder / _name("denied", entry.sha256, entry.row)

    def name(self, entry: Entry, entity: str) -> None:
        """Write down whose model a denied one is."""
        self._write("denied", entry.model_copy(update={"entity": entity}))
        self._names = frozenset()
        self.refresh()

    def clear(self, sha256: str, rows: Iterable[int]) -> None:
        """Lift the suspicion from models that have answered alone."""
        for row in rows:
            self._store.remove(_name("suspect", sha256, row))
        self.refresh()

    def expire(self, serving: Collection[str], now: datetime) -> None:
        """Remove old entries of files that serve no more.

        Args:
            serving: Hashes of the files of the bundle that answers.
            now: When, with a time zone.
        """
        verdicts: tuple[Verdict, ...] = ("suspect", "denied")
        for verdict in verdicts:
            for entry in self.all(verdict):
                if entry.sha256 not in serving and entry.at + STALE < now:
                    self._store.remove(_name(verdict, entry.sha256, entry.row))

    def _suspected(self, sha256: str, row: int) -> bool:
        return _name("suspect", sha256, row) in self._store.names()

    def _write(self, verdict: Verdict, entry: Entry) -> None:
        self._store.write(_name(verdict, entry.sha256, entry.row), entry.model_dump_json(indent=1).encode())

    def _read(self, verdict: Verdict) -> dict[str, dict[int, Entry]]:
        found: dict[str, dict[int, Entry]] = {}
        for name in self._store.names():
            known = _NAME.fullmatch(name)
            if known is None or known[3] != verdict:
                continue
            try:
                entry = Entry.model_validate_json(self._store.read(name))
            except FileNotFoundError:
                continue  # lifted in between
            except (ValidationError, OSError) as error:
                logger.warning("%s cannot be read and is passed over: %s", self.folder / name, error)
                continue
            found.setdefault(entry.sha256, {})[entry.row] = entry
        return found


def _name(verdict: Verdict, sha256: str, row: int) -> str:
    return f"{sha256}-{row}.{verdict}.json"


def _marks_beside(folder: Place) -> Path:
    if isinstance(folder, Path):
        return folder / "marks"
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"modelfleet-marks-{os.getuid()}" / name
