"""The denylist: models that ended a process, shared by all processes of a fleet, so that none does it again.

A model is known by its file's hash and its row there, so an entry holds as long as the file serves, whatever release
names it, and a model trained anew starts with a clean slate. One file per model: ``<sha256>-<row>.suspect.json`` where
a process ended while the model was being asked among others, ``<sha256>-<row>.denied.json`` where it did so again when
it was asked alone. Whoever deletes a file lifts the entry.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from modelfleet.serving.mark import take_left_behind
from modelfleet.whole_file import write_whole

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
        folder: Where they lie; made when the first one is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._entries: dict[Verdict, Mapping[str, Mapping[int, Entry]]] = {"suspect": {}, "denied": {}}
        self._names: frozenset[str] = frozenset()

    @property
    def marks(self) -> Path:
        """Folder of the processes' marks."""
        return self.folder / "marks"

    def refresh(self) -> None:
        """Take note of processes that ended while they predicted, and read what is new."""
        for mark in take_left_behind(self.marks):
            self.accuse(mark, "the process ended while it was predicting")
        names = frozenset(path.name for path in self.folder.glob("*.json"))
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
        alone = len(rows) == 1 and rows[0] != ANY_ROW and self._path("suspect", mark.sha256, rows[0]).exists()
        verdict: Verdict = "denied" if alone else "suspect"
        for row in rows:
            entry = Entry(
                sha256=mark.sha256, row=row, path=mark.path, generation=mark.generation, reason=reason,
                at=datetime.now(UTC),
            )  # fmt: skip
            self._write(verdict, entry)
        if alone:
            self._path("suspect", mark.sha256, rows[0]).unlink(missing_ok=True)
        logger.error(
            "%s of generation %d: %s: %d of its models are %s",
            mark.path, mark.generation, reason, len(rows), "denied" if alone else "under suspicion",
        )  # fmt: skip

    def path(self, entry: Entry) -> Path:
        """Return the file that denies a model; without it the model is asked again."""
        return self._path("denied", entry.sha256, entry.row)

    def name(self, entry: Entry, entity: str) -> None:
        """Write down whose model a denied one is."""
        self._write("denied", entry.model_copy(update={"entity": entity}))
        self._names = frozenset()
        self.refresh()

    def clear(self, sha256: str, rows: Iterable[int]) -> None:
        """Lift the suspicion from models that have answered alone."""
        for row in rows:
            self._path("suspect", sha256, row).unlink(missing_ok=True)
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
                    self._path(verdict, entry.sha256, entry.row).unlink(missing_ok=True)

    def _path(self, verdict: Verdict, sha256: str, row: int) -> Path:
        return self.folder / f"{sha256}-{row}.{verdict}.json"

    def _write(self, verdict: Verdict, entry: Entry) -> None:
        write_whole(self._path(verdict, entry.sha256, entry.row), entry.model_dump_json(indent=1))

    def _read(self, verdict: Verdict) -> dict[str, dict[int, Entry]]:
        found: dict[str, dict[int, Entry]] = {}
        for path in self.folder.glob(f"*.{verdict}.json"):
            if not _NAME.fullmatch(path.name):
                continue
            try:
                entry = Entry.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                continue  # lifted in between
            except (ValidationError, OSError) as error:
                logger.warning("%s cannot be read and is passed over: %s", path, error)
                continue
            found.setdefault(entry.sha256, {})[entry.row] = entry
        return found
