"""What a fleet's bundles and run folders are still needed for."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.bundles.format import MANIFEST_NAME
from modelfleet.errors import BundleError, ReleaseError, StepError, StoreRefusedError, StoreUnavailableError
from modelfleet.releases.ledger import Ledger
from modelfleet.run import Run
from modelfleet.serving.lease import LeaseFolder
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Place, Url, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from modelfleet.home import FleetHome
    from modelfleet.releases.manifest import Release
    from modelfleet.spec.retention import RetentionSpec

GRACE = timedelta(hours=1)
"""A process whose lease has expired may only have been slow: what it holds is kept for so long."""


class BundleNeeds:
    """Why bundles must stay, by their place or by their hash."""

    def __init__(self) -> None:
        self._places: dict[Place, list[str]] = defaultdict(list)
        self._hashes: dict[str, list[str]] = defaultdict(list)
        self._all: list[str] = []

    def need(self, why: str, *, at: str | Place | None = None, sha256: str | None = None) -> None:
        """Note that a bundle is needed; with neither place nor hash it cannot be told which, so every one is."""
        if at is not None:
            self._places[_resolved(place(at))].append(why)
        if sha256 is not None:
            self._hashes[sha256].append(why)
        if at is None and sha256 is None:
            self._all.append(why)

    def of(self, folder: Place) -> list[str]:
        """Return what a bundle is needed for, each reason once; empty where it is not needed.

        Of one below a bucket that is needed by its place, the manifest is not asked for its hash.

        Raises:
            StoreUnavailableError: The bucket does not answer, so nothing is known of it.
            StoreRefusedError: It is closed to this account.
        """
        reasons = [*self._all, *self._places.get(_resolved(folder), [])]
        if not (reasons and isinstance(folder, Url)):
            reasons += self._hashes.get(_sha256(folder), [])
        return list(dict.fromkeys(reasons))


def bundle_needs(
    folders: FleetHome,
    retention: RetentionSpec,
    now: datetime,
    *,
    known: Sequence[Release],
    starts_with: Release | None,
    aliased: Mapping[str, str],
) -> BundleNeeds:
    """Return why bundles of a fleet must stay.

    Args:
        folders: The fleet's folders.
        retention: What its age keeps.
        now: The time, with a time zone.
        known: Releases that were read before.
        starts_with: What ``newest_whole`` found.
        aliased: What ``Registry.aliased`` said.
    """
    needs = BundleNeeds()
    ledger = Ledger(folders.releases, folders.leases)
    releases = list(reversed(ledger.all(known)))
    if not releases and (unread := len(ledger.generations())):  # the wrong public keys, say
        needs.need(f"none of the {unread} release files can be read, so nobody knows which bundles serve")
    _need_of_releases(needs, releases, retention, now)
    _need_of_processes(needs, releases, folders, now)
    _need_of_runs(needs, folders, retention, now)
    if starts_with is not None:
        why = f"a job that starts, from a savepoint or from nothing, serves generation {starts_with.generation}"
        needs.need(why, at=starts_with.bundle.uri, sha256=starts_with.bundle.sha256)
    for sha256, alias in aliased.items():
        needs.need(f"the registry's alias '{alias}' names it", sha256=sha256)
    return needs


def newest_whole(releases: Sequence[Release]) -> Release | None:
    """Return the release that a process which starts now can load, after reading every byte of its bundle.

    Args:
        releases: Oldest first.

    Raises:
        StoreUnavailableError: A bucket does not answer, so it is not known which one it is.
    """
    for release in reversed(releases):
        try:
            release.bundle.open()
        except (BundleError, ReleaseError) as error:
            if isinstance(error.__cause__, StoreUnavailableError):
                raise error.__cause__ from None
            continue
        return release
    return None


def unfinished(run: Run) -> bool:
    """Return whether a run may still release something: it has neither promoted nor been refused."""
    try:
        if run.has("promote"):
            return bool(run.read("promote")["outcome"] == "pinned")  # promotes once the fleet is unpinned
        return not run.has("register") or run.read("register")["bundle"] is not None
    except StepError:  # a result that cannot be read says nothing
        return True


def runs_of(folders: FleetHome) -> tuple[list[Run], list[Path]]:
    """Return the runs of a fleet, newest first, and the folders that hold none that can be read."""
    runs, unreadable = [], []
    for folder in sorted(folders.runs.glob("[!.]*")):
        try:
            runs.append(Run.load(folder))
        except StepError:
            unreadable.append(folder)
    return sorted(runs, key=started_at, reverse=True), unreadable


def started_at(run: Run) -> datetime:
    """Return when a run began, with a time zone."""
    started = run.record.started_at
    return started if started.tzinfo else started.replace(tzinfo=UTC)


def _need_of_releases(needs: BundleNeeds, releases: list[Release], retention: RetentionSpec, now: datetime) -> None:
    """The rollback window counts different bundles: a pin or a switch of mode does not shorten it."""
    seen: dict[str, int] = {}
    for release in releases:
        position = seen.setdefault(release.bundle.sha256, len(seen))
        ref = release.bundle
        if position == 0 and release is releases[0]:
            needs.need(f"generation {release.generation} is the newest", at=ref.uri, sha256=ref.sha256)
        elif position < retention.generations:
            why = f"generation {release.generation} is within the last {retention.generations} that differ"
            needs.need(why, at=ref.uri, sha256=ref.sha256)
        if release.created_at + timedelta(days=retention.days) > now:
            why = f"generation {release.generation} is not older than {retention.days:g} days"
            needs.need(why, at=ref.uri, sha256=ref.sha256)


def _need_of_processes(needs: BundleNeeds, releases: list[Release], folders: FleetHome, now: datetime) -> None:
    named = {release.generation: release.bundle for release in releases}
    for lease in LeaseFolder(folders.leases).recent(now, GRACE):
        for uri in lease.holding:
            needs.need(f"process {lease.process} holds it", at=uri)
        for generation in {lease.serving, *(refusal.generation for refusal in lease.refused if refusal.passing)}:
            if generation is None:
                continue
            ref = named.get(generation)
            why = f"process {lease.process} holds generation {generation}"
            if ref is None and not lease.holding:
                needs.need(f"{why}, which the ledger does not know any more")
            elif ref is not None:
                needs.need(why, at=ref.uri, sha256=ref.sha256)


def _need_of_runs(needs: BundleNeeds, folders: FleetHome, retention: RetentionSpec, now: datetime) -> None:
    for run in runs_of(folders)[0]:
        if not unfinished(run) or (started_at(run) + timedelta(days=retention.days) < now and not run.busy):
            continue
        champion = run.record.champion
        if champion is not None:
            needs.need(f"run {run.record.run_id} compares with it", at=champion.bundle, sha256=champion.sha256)
        if run.has("register") and (made := run.read("register"))["bundle"] is not None:
            needs.need(f"run {run.record.run_id} may release it", at=made["bundle"], sha256=made["bundle_sha256"])


def _resolved(at: Place) -> Place:
    return at if isinstance(at, Url) else at.resolve()


def _sha256(folder: Place) -> str:
    """Return a bundle's hash; empty where its manifest cannot be read."""
    try:
        return hashlib.sha256(open_store(folder).read(MANIFEST_NAME)).hexdigest()
    except (StoreUnavailableError, StoreRefusedError):
        raise  # not a word about this bundle
    except OSError:
        return ""
