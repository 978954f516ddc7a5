"""Keeps bundles below a bucket in place, where there are no locks: each side says what it does, and then looks.

A publisher writes a hold, ``holds/<id>.json``, and then looks whether somebody collects. The collector makes
``collecting.json`` and then looks for holds. What was written is in every later look, of any process (see ``Store``),
so of a publisher and a collector that begin at once at least one sees the other: the publisher goes back and waits,
the collector waits for those whose holds it sees. It removes a bundle only once nobody who came before it is left, and
nobody who comes after it gets in.

A file does not die with its process, so its age counts, by the bucket's own clock. A collector works in short turns; a
``collecting.json`` that is far older than a turn was left by one that died, stops no publisher, and is taken over by
the next collector. A hold older than a day was left by a publisher that died. What is not guarded against is a machine
that stands still for minutes between its last look and the request that follows it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from modelfleet.errors import FleetBusyError
from modelfleet.releases.guard_files import COLLECTING, HOLDS, Mark, forget, read_mark, seconds_before
from modelfleet.stores.opening import open_store

if TYPE_CHECKING:
    from modelfleet.stores.place import Place
    from modelfleet.stores.store import Store

logger = logging.getLogger(__name__)

TURN_SECONDS = 30.0
"""A collector begins with no other bundle after so long, counted from when it held publishers off."""

LAST_SECONDS = 120.0
"""A collector sends no other request to remove something after so long."""

DEAD_SECONDS = 300.0
"""A ``collecting.json`` as old as that is nobody's: much longer than ``LAST_SECONDS``."""

HOLD_DEAD = timedelta(days=1)
"""A hold as old as that is nobody's: much longer than sending a bundle takes."""

COLLECTOR_WAITS = 20.0
"""Seconds for which a collector waits for publishers, while it holds others off."""

PUBLISHER_WAITS = 90.0
"""Seconds for which a publisher waits for a collector: longer than a turn and the end of its last bundle."""

LOOK_SECONDS = 0.5
"""Seconds between two looks."""


@contextmanager
def holding(root: Place) -> Iterator[None]:
    """Hold off the collector, as a publisher does; see ``guard.bundles_in_place``.

    Args:
        root: The fleet's folder.

    Raises:
        FleetBusyError: One collects, and went on for longer than ``PUBLISHER_WAITS``.
    """
    store, mine = open_store(root), Mark.new()
    give_up = time.monotonic() + PUBLISHER_WAITS
    try:
        while True:
            store.write(mine.hold, mine.as_bytes())
            other = read_mark(store, COLLECTING)
            if other is None or _is_dead(seconds_before(store, COLLECTING, mine.hold)):
                break
            store.remove(mine.hold)
            if time.monotonic() > give_up:
                raise FleetBusyError(
                    f"{root / COLLECTING}: {other.as_text()} removes bundles, and did not end within "
                    f"{PUBLISHER_WAITS:g} s; nothing was published: try again. {_IF_DEAD}"
                )
            time.sleep(LOOK_SECONDS)
        yield
    finally:
        forget(store, mine.hold)


class Turn:
    """What a collector asks while it removes bundles.

    Args:
        root: The fleet's folder.
        mark: Its own.
    """

    def __init__(self, root: Place, mark: Mark) -> None:
        self._root = root
        self._mark = mark
        self._begun = time.time()  # not the monotonic clock, which stands still while a machine sleeps
        self._bundles = 0

    def goes_on(self) -> bool:
        """Return whether there is time to remove another bundle, as there is for one; else a new turn is needed.

        Raises:
            FleetBusyError: Another collector has taken over, or the bucket was too slow even for one.
        """
        other = read_mark(open_store(self._root), COLLECTING)
        if other != self._mark:
            now = "there is no such file any more" if other is None else f"{other.as_text()} does"
            raise FleetBusyError(
                f"{self._root / COLLECTING}: {self._mark.as_text()} was removing bundles, and now {now}: stopped "
                "before the next one; run it again"
            )
        if self._bundles == 0 and self.over:
            raise FleetBusyError(
                f"{self._root}: what bundles are needed for could not be read within {LAST_SECONDS:g} s, and "
                "publishers are held off no longer: nothing more was removed; try again when the bucket is faster"
            )
        self._bundles += 1
        return self._bundles == 1 or self._seconds < TURN_SECONDS

    @property
    def over(self) -> bool:
        """Whether it is too late to remove even one file more: publishers may soon take this process for dead."""
        return self._seconds > LAST_SECONDS

    @property
    def _seconds(self) -> float:
        return time.time() - self._begun


@contextmanager
def collecting(root: Place) -> Iterator[Turn]:
    """Hold off every publisher, once those who publish just now have ended: for whoever removes bundles.

    Args:
        root: The fleet's folder.

    Raises:
        FleetBusyError: Somebody else collects, or publishers did not end within ``COLLECTOR_WAITS``.
    """
    store, mine = open_store(root), Mark.new()
    turn = Turn(root, mine)
    _begin(root, store, mine)
    try:
        _wait_for_publishers(root)
        yield turn
    finally:
        with suppress(OSError):
            if not turn.over and read_mark(store, COLLECTING) == mine:  # nobody takes it over so early
                forget(store, COLLECTING)


def _begin(root: Place, store: Store, mine: Mark) -> None:
    while True:
        with suppress(FileExistsError):
            store.create(COLLECTING, mine.as_bytes())
            return
        other = read_mark(store, COLLECTING)
        if other == mine:  # a connection broke off after it was written
            return
        try:
            store.write(mine.hold, mine.as_bytes())  # tells the bucket's time
            age = seconds_before(store, COLLECTING, mine.hold)
        finally:
            forget(store, mine.hold)
        if other is None or age is None:
            continue  # whoever collected has ended
        if not _is_dead(age):
            raise FleetBusyError(
                f"{root / COLLECTING}: {other.as_text()} removes bundles of this fleet; let it end, then try again. "
                f"{_IF_DEAD}"
            )
        logger.warning("%s: left by %s, which died; taken over", root / COLLECTING, other.as_text())
        store.write(COLLECTING, mine.as_bytes())  # in its place: at no time is there none
        return


def _wait_for_publishers(root: Place) -> None:
    give_up = time.monotonic() + COLLECTOR_WAITS
    while holds := _live_holds(root):
        if time.monotonic() > give_up:
            raise FleetBusyError(
                f"{root / HOLDS}: bundles are being published, for more than {COLLECTOR_WAITS:g} s, by "
                f"{'; '.join(sorted(holds))}: no bundle was removed; try again once that has ended. A hold whose "
                "process has died counts for nothing a day after it was written; removing its file does the same"
            )
        time.sleep(LOOK_SECONDS)


def _live_holds(root: Place) -> list[str]:
    """Return who holds bundles; holds of the dead are removed."""
    store = open_store(root)
    holds = []
    for entry in open_store(root / HOLDS).below():
        name = f"{HOLDS}/{entry.name}"
        if entry.written_at + HOLD_DEAD < datetime.now(UTC):  # no clock of a machine is wrong by as much
            logger.warning("%s: left by a publisher that died; removed", root / name)
            store.remove(name)
        elif (mark := read_mark(store, name)) is not None:
            holds.append(mark.as_text())
    return holds


_IF_DEAD = f"If it has died, that file counts for nothing {DEAD_SECONDS:g} s after it was written"


def _is_dead(age: float | None) -> bool:
    """Return whether a ``collecting.json`` so many seconds old counts for nothing; None means that it is gone."""
    return age is None or age > DEAD_SECONDS
