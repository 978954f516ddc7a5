"""Removing below a bucket what nothing needs any more: bundles, and copies that were made for workers."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from modelfleet.bundles.format import MANIFEST_NAME
from modelfleet.errors import RunBusyError, StepError
from modelfleet.loop.collected import Item
from modelfleet.releases.bucket_guard import LOOK_SECONDS, collecting
from modelfleet.run import Run
from modelfleet.stores.opening import open_store
from modelfleet.stores.store import Entry
from modelfleet.stores.sums import FOLDER as SUMS

if TYPE_CHECKING:
    from modelfleet.home import FleetHome
    from modelfleet.loop.needs import BundleNeeds
    from modelfleet.releases.bucket_guard import Turn
    from modelfleet.spec.retention import RetentionSpec
    from modelfleet.stores.place import Place

AT_ONCE = 8
"""So many files are removed at a time."""

ELSEWHERE = timedelta(days=1)
"""What is younger stays in any case: a run or a job of another machine may work with it, which is not seen here."""


def collect_published(
    folders: FleetHome,
    retention: RetentionSpec,
    now: datetime,
    needs: Callable[[], BundleNeeds],
    *,
    dry_run: bool = False,
) -> list[Item]:
    """Remove the bundles below the bucket that nothing needs, and what half-sent or half-removed ones have left.

    Runs are known to their own machines only, so one that was written lately may be about to be released and stays.
    Publishers are held off for short turns, between which they get in.

    Args:
        folders: The fleet's folders.
        retention: What its age keeps.
        now: The time, with a time zone.
        needs: Says what bundles are needed for; asked anew in every turn, while no publisher is at work.
        dry_run: Only say what would be done; nobody is held off.

    Raises:
        FleetBusyError: Publishers, or another collector, are at work; at least the rest was not removed.
        StoreUnavailableError: The bucket does not answer. Nobody sees half a bundle: the next collection goes on.
        StoreRefusedError: It is closed to this account.
    """
    if folders.shared is None or folders.published is None:
        return []
    age = max(timedelta(days=retention.days), ELSEWHERE)
    if dry_run:
        return list(_looked_at(folders.published, now, age, needs()))
    removed: dict[str, Item] = {}
    while True:
        with collecting(folders.shared) as turn:
            kept, ended = _turn(turn, _looked_at(folders.published, now, age, needs()), removed)
        if ended:
            return [*removed.values(), *kept]
        time.sleep(4 * LOOK_SECONDS)  # so that publishers who wait find the way free


def _turn(turn: Turn, items: Iterable[Item], removed: dict[str, Item]) -> tuple[list[Item], bool]:
    """Remove bundles while there is time; return those that stay, and whether nothing is left to remove."""
    kept = []
    for item in items:
        if item.reasons:
            kept.append(item)
            continue
        if not turn.goes_on():
            return kept, False
        store = open_store(item.path)
        store.remove(MANIFEST_NAME)  # first, so that nobody opens half of it
        _remove(item.path, [entry.name for entry in store.below()], until=lambda: turn.over)
        removed.setdefault(item.path, item)  # one whose last files an earlier turn had no time for is there already
        if turn.over:
            return kept, False
    return kept, True


def _looked_at(published: Place, now: datetime, age: timedelta, needs: BundleNeeds) -> Iterator[Item]:
    """Look at one bundle after the other; those without a reason to stay can be removed."""
    for name, entries in _folders(published).items():
        folder = published / name
        newest = max(entry.written_at for entry in entries)
        reasons = []
        if not any(entry.name == MANIFEST_NAME for entry in entries):
            if newest + ELSEWHERE > now:
                reasons.append("it has no manifest (yet), and is not older than a day")
        elif newest + age > now:
            days = (now - newest).total_seconds() / 86_400
            reasons.append(f"it was sent {max(days, 0):.1f} days ago: a run of another machine may still release it")
        if not reasons:
            reasons = needs.of(folder)
        size = sum(entry.bytes for entry in entries)
        yield Item.kept("published", folder, reasons) if reasons else Item.removed("published", folder, size)


def collect_copies(folders: FleetHome, retention: RetentionSpec, now: datetime, *, dry_run: bool = False) -> list[Item]:
    """Remove what runs and scoring jobs that failed, or that nobody goes on with, left below the bucket for workers.

    Args:
        folders: The fleet's folders.
        retention: What its age keeps.
        now: The time, with a time zone.
        dry_run: Only say what would be done.

    Raises:
        StoreUnavailableError: The bucket does not answer.
        StoreRefusedError: It is closed to this account.
    """
    items = []
    age = max(timedelta(days=retention.days), ELSEWHERE)
    for parent in (folders.shared_runs, folders.shared_scores):
        for name, entries in _folders(parent).items() if parent is not None else ():
            assert parent is not None
            run = _run(folders, name) if parent == folders.shared_runs else None
            reason = ""
            if max(entry.written_at for entry in entries) + age > now:
                reason = f"it is not older than {age.total_seconds() / 86_400:g} days"
            try:
                with nullcontext() if run is None or reason else run.exclusively():
                    if not reason and not dry_run:
                        names = [entry.name for entry in entries]
                        # What a file must be goes first: one of which nothing is said is not there for anybody
                        _remove(parent / name, [each for each in names if each.startswith(f"{SUMS}/")])
                        _remove(parent / name, [each for each in names if not each.startswith(f"{SUMS}/")])
            except RunBusyError as error:
                reason = str(error)
            if reason:
                items.append(Item.kept("copy", parent / name, [reason]))
            else:
                items.append(Item.removed("copy", parent / name, sum(entry.bytes for entry in entries)))
    return items


def _run(folders: FleetHome, name: str) -> Run | None:
    """Return a run if it is on this machine."""
    try:
        return Run.load(folders.runs / name)
    except StepError:
        return None


def _folders(parent: Place) -> dict[str, list[Entry]]:
    """Return the files of every folder directly below a place, named within their folder, by the folders' names."""
    folders: dict[str, list[Entry]] = defaultdict(list)
    for entry in open_store(parent).below():
        folder, _, name = entry.name.partition("/")
        if name:
            folders[folder].append(Entry(name, entry.bytes, entry.written_at))
    return dict(sorted(folders.items()))


def _remove(folder: str | Place, names: Iterable[str], until: Callable[[], bool] = lambda: False) -> None:
    """Remove files, some at a time, until it is too late for more; after the first that fails none is begun."""
    store = open_store(folder)

    def remove(name: str) -> None:
        if not until():
            store.remove(name)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for _ in pool.map(remove, names):
                pass
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
