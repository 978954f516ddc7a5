"""Removing what nothing needs any more: old bundles, run folders and savepoints, and old answers if asked for."""

from __future__ import annotations

import logging
import shutil
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.engines.savepoints import list_savepoints
from modelfleet.errors import RunBusyError
from modelfleet.loop.collect_bucket import collect_copies, collect_published
from modelfleet.loop.collected import Collected, Item
from modelfleet.loop.needs import bundle_needs, newest_whole, runs_of, started_at
from modelfleet.releases.guard import publishers_held_off
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import those_there
from modelfleet.spec.sink import FolderSinkSpec
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url, place

if TYPE_CHECKING:
    from modelfleet.home import FleetHome, Home
    from modelfleet.loop.collected import Kind
    from modelfleet.loop.needs import BundleNeeds
    from modelfleet.registry.base import Registry
    from modelfleet.run import Run
    from modelfleet.spec.fleet import FleetSpec
    from modelfleet.spec.retention import RetentionSpec

logger = logging.getLogger(__name__)

REMOVED = ".removed-"
"""What a folder's name begins with from the moment it is removed until its files are gone."""


def collect(
    home: Home,
    spec: FleetSpec,
    *,
    retention: RetentionSpec | None = None,
    answers_days: float | None = None,
    dry_run: bool = False,
    registry: Registry | None = None,
    now: datetime | None = None,
) -> Collected:
    """Remove the bundles, run folders, savepoints, and copies for workers, of a fleet that nothing needs.

    A bundle stays while a release of the rollback window, a process, a job that may start, a run that may release, or
    an alias of the registry needs it. A folder is renamed away before its files are deleted, so that nobody opens half
    of it; what a collection that died has left is deleted by the next. Below a bucket the manifest goes first instead,
    see ``collect_bucket``.

    Args:
        home: The root folder.
        spec: The fleet's spec.
        retention: What its age keeps; None means as the spec says.
        answers_days: Also remove parts of answers and dead letters older than this; None leaves them all.
        dry_run: Only say what would be done.
        registry: Whose aliases count; None means MLflow, as the environment says.
        now: The time, with a time zone; None means now.

    Raises:
        RegistryUnavailableError: The registry does not answer; nothing is removed.
        FleetBusyError: Somebody publishes, or collects, below the bucket; run it again.
        StoreUnavailableError: The bucket does not answer; likewise.
    """
    if registry is None:
        from modelfleet.registry.mlflow import MlflowRegistry

        registry = MlflowRegistry.for_home(home)
    folders = home.fleet(spec.fleet)
    retention = retention or spec.retention
    now = now or datetime.now(UTC)
    items: list[Item] = []
    aside: list[Path] = [] if dry_run else _left_over(folders)
    # What takes long comes before the lock, which a rollback may be waiting for
    aliased = registry.aliased(spec.fleet)
    known = Ledger(folders.releases, folders.leases).all()
    starts_with = newest_whole(known)

    def needs() -> BundleNeeds:
        return bundle_needs(folders, retention, now, known=known, starts_with=starts_with, aliased=aliased)

    items += collect_published(folders, retention, now, needs, dry_run=dry_run)
    with publishers_held_off(folders.root):
        needed = needs()
        for folder in _folders(folders.bundles):
            reasons = needed.of(folder)
            items.append(_kept_or_not("bundle", folder, reasons))
            if not reasons and not dry_run:
                aside.append(_rename_away(folder))
    for run, reasons in _runs(folders, retention, now):
        if not reasons and not dry_run:
            try:
                with run.exclusively():
                    items.append(_kept_or_not("run", run.folder, reasons))
                    aside.append(_rename_away(run.folder))
            except RunBusyError as error:
                items.append(Item.kept("run", run.folder, [str(error)]))
        else:
            items.append(_kept_or_not("run", run.folder, reasons))
    items += collect_copies(folders, retention, now, dry_run=dry_run)
    for savepoint in list_savepoints(home, spec.fleet):
        folder = Path(savepoint.path).parent
        reasons = ["the next job may start from it"] if savepoint.needed else []
        items.append(_kept_or_not("savepoint", folder, reasons))
        if not savepoint.needed and not dry_run:
            aside.append(_rename_away(folder))
    if answers_days is not None:
        items += _old_parts(spec, folders, now - timedelta(days=answers_days), dry_run=dry_run)
    for folder in aside:
        shutil.rmtree(folder, ignore_errors=True)  # whatever stays is left over, for the next time
    for item in items:
        logger.info("%s", item.as_text())
    return Collected(
        fleet=spec.fleet,
        dry_run=dry_run,
        removed=tuple(item for item in items if not item.reasons),
        kept=tuple(item for item in items if item.reasons),
    )


def _runs(folders: FleetHome, retention: RetentionSpec, now: datetime) -> Iterator[tuple[Run, list[str]]]:
    releases = [release for release in Ledger(folders.releases).all() if release.run_id]
    there = those_there(releases)
    names = {release.run_id: release.generation for release in releases if release.bundle.uri in there}
    for position, run in enumerate(runs_of(folders)[0]):
        reasons = []
        if position < retention.generations:
            reasons.append(f"it is one of the last {retention.generations} runs")
        if started_at(run) + timedelta(days=retention.days) > now:
            reasons.append(f"it is not older than {retention.days:g} days")
        if run.record.run_id in names:
            reasons.append(f"it made generation {names[run.record.run_id]}, whose bundle is kept")
        if run.busy:
            reasons.append("a process works on it")
        yield run, reasons


def _old_parts(spec: FleetSpec, folders: FleetHome, before: datetime, *, dry_run: bool) -> list[Item]:
    items = []
    sink = spec.serving.sink
    if isinstance(sink, FolderSinkSpec):
        parts = [
            *_in(sink.answers or folders.answers, "jsonl"),
            *_in(sink.dead_letters or folders.dead_letters, "jsonl"),
        ]
    elif isinstance(large := place(sink.large or folders.large_dead_letters), Path):
        parts = _in(large, "json")
    else:
        return _old_letters(large, before, dry_run=dry_run)
    for part in parts:
        if datetime.fromtimestamp(part.stat().st_mtime, UTC) < before:
            items.append(Item.removed("part", part, part.stat().st_size))
            if not dry_run:
                part.unlink()
    return items


def _old_letters(folder: Url, before: datetime, *, dry_run: bool) -> list[Item]:
    """Remove whole dead letters below a bucket."""
    store = open_store(folder)
    items = []
    for name in sorted(name for name in store.names() if name.endswith(".json")):
        if store.written_at(name) < before:
            items.append(Item(kind="part", path=f"{folder}/{name}"))
            if not dry_run:
                store.remove(name)
    return items


def _in(folder: str | Path, ending: str) -> list[Path]:
    return sorted(Path(folder).glob(f"[!.]*.{ending}"))


def _left_over(folders: FleetHome) -> list[Path]:
    return [path for folder in (folders.bundles, folders.runs) for path in folder.glob(f"{REMOVED}*")]


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("[!.]*") if path.is_dir())


def _rename_away(folder: Path) -> Path:
    return folder.rename(folder.with_name(f"{REMOVED}{uuid.uuid4().hex[:8]}-{folder.name}"))


def _kept_or_not(kind: Kind, folder: Path, reasons: list[str]) -> Item:
    return Item.kept(kind, folder, reasons) if reasons else Item.removed(kind, folder, _size(folder))


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
