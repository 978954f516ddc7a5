"""What serves, and where: the ledger and the leases of a fleet, put side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from modelfleet.bundles.shard_memory import MemoryUse
from modelfleet.bundles.storage import is_remote
from modelfleet.errors import BundleError, ReleaseError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.pin import pinned_by, told
from modelfleet.serving.denylist import Denylist, Entry
from modelfleet.serving.failing import FailingModel
from modelfleet.serving.lease import LeaseFolder, Refusal

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.releases.manifest import Release


class ProcessStatus(BaseModel):
    """One live serving process.

    Attributes:
        process: Its name.
        job: The streaming job it belongs to.
        serving: The generation that answers; None before the first.
        serving_since: When that was swapped in.
        current: Whether it serves the newest generation.
        refused: Releases it would not load.
        age_seconds: Seconds since it renewed its lease.
        memory: What its models take; None before the first one is loaded.
        failed_rows: Rows that models of the serving generation failed.
        failing: The models that failed the most of them.
    """

    model_config = ConfigDict(frozen=True)

    process: str
    job: str
    serving: int | None
    serving_since: AwareDatetime | None
    current: bool
    refused: tuple[Refusal, ...]
    age_seconds: float
    memory: MemoryUse | None = None
    failed_rows: int = 0
    failing: tuple[FailingModel, ...] = ()

    def as_lines(self) -> list[str]:
        """Return what a person wants to know of its models."""
        lines = []
        if self.memory is not None:
            most = "" if self.memory.limit is None else f" of {self.memory.limit / 1e6:.1f}"
            lines.append(
                f"holds {self.memory.files} model files, {self.memory.nbytes / 1e6:.1f}{most} MB: {self.memory.hits} "
                f"hits, {self.memory.misses} loads, {self.memory.evictions} evictions"
            )
        lines += [
            f"the {'pooled model' if not one.entity else f'model of {one.entity}'} failed {one.rows} rows: {one.reason}"
            for one in self.failing
        ]
        return lines


class FleetStatus(BaseModel):
    """What the ledger says should serve, and what does.

    Attributes:
        fleet: The fleet.
        generation: The newest release; None before the first.
        bundle: Where its bundle is; None before the first.
        bundle_sha256: Its hash; None before the first.
        model_version: The registry's version; None where there is none.
        reason: Why it was released, such as ``promote`` or ``rollback``; None before the first.
        released_at: When; None before the first.
        rolled_back_to: The generation whose bundle serves again, after a rollback; else None.
        pinned: Who pinned the fleet, since when and why; None where promotions pass.
        pooled_only: Whether the pooled model answers for every entity.
        problems: One sentence for each release file that cannot be read, and for the newest release's bundle where it
            cannot be loaded.
        denied: Models that are not asked any more, the newest entry first, each with the file whose deletion lifts it.
        processes: Every process whose lease has not expired, ordered by name.
    """

    model_config = ConfigDict(frozen=True)

    fleet: str
    generation: int | None
    bundle: str | None
    bundle_sha256: str | None
    model_version: str | None
    reason: str | None
    released_at: AwareDatetime | None
    rolled_back_to: int | None
    pinned: str | None = None
    pooled_only: bool = False
    problems: tuple[str, ...]
    denied: tuple[tuple[Entry, str], ...] = ()
    processes: tuple[ProcessStatus, ...]

    def as_text(self) -> str:
        """Return a few plain lines for a terminal or a log."""
        if self.generation is None:
            lines = [f"fleet {self.fleet}: no release yet; `modelfleet run fleets/{self.fleet}.yaml` makes the first"]
        else:
            version = f", version {self.model_version}" if self.model_version else ""
            again = f", the bundle of generation {self.rolled_back_to} again" if self.rolled_back_to else ""
            lines = [
                f"fleet {self.fleet}: generation {self.generation} ({self.reason}{version}{again}), "
                f"released {self.released_at:%Y-%m-%d %H:%M:%S %Z}",
                f"  bundle {self.bundle}",
            ]
        if self.pinned:
            lines.append(f"  {self.pinned}; `modelfleet unpin fleets/{self.fleet}.yaml` lets promotions through again")
        if self.pooled_only:
            lines.append(
                "  the pooled model answers for every entity; "
                f"`modelfleet serve fleets/{self.fleet}.yaml --whole-fleet` ends that"
            )
        lines += [f"  damaged: {problem}" for problem in self.problems]
        for entry, path in self.denied:
            whose = f"row {entry.row} of {entry.path}" if entry.entity is None else f"entity '{entry.entity}'"
            lines.append(f"  denied: the model of {whose}: {entry.reason} ({entry.at:%Y-%m-%d %H:%M:%S %Z})")
            lines.append(f"    delete {path} to let it be asked again")
        if not self.processes:
            lines.append(f"  no process serves it; `modelfleet serve fleets/{self.fleet}.yaml` starts one")
        for process in self.processes:
            serves = "nothing yet" if process.serving is None else f"generation {process.serving}"
            behind = "" if process.current or self.generation is None else f" (newest is {self.generation})"
            lines.append(f"  {process.process} serves {serves}{behind}, lease renewed {process.age_seconds:.0f} s ago")
            lines += [f"    {line}" for line in process.as_lines()]
            lines += [f"    {refusal.as_text()}" for refusal in process.refused]
        return "\n".join(lines)


def fleet_status(home: Home, fleet: str, *, now: datetime | None = None) -> FleetStatus:
    """Return what serves now.

    Args:
        home: The root folder.
        fleet: The fleet's name.
        now: The time leases are judged at, with a time zone; None means now.
    """
    folders = home.fleet(fleet)
    now = now or datetime.now(UTC)
    ledger = Ledger(folders.releases)
    denylist = Denylist(folders.denylist)
    release = ledger.latest()
    newest = None if release is None else release.generation
    processes = tuple(
        ProcessStatus(
            process=lease.process,
            job=lease.job,
            serving=lease.serving,
            serving_since=lease.serving_since,
            current=lease.serving is not None and lease.serving == newest,
            refused=lease.refused,
            age_seconds=max((now - lease.renewed_at).total_seconds(), 0.0),
            memory=lease.memory,
            failed_rows=lease.failed_rows,
            failing=lease.failing,
        )
        for lease in LeaseFolder(folders.leases).live(now)
    )
    return FleetStatus(
        fleet=fleet,
        generation=newest,
        bundle=None if release is None else release.bundle.uri,
        bundle_sha256=None if release is None else release.bundle.sha256,
        model_version=None if release is None else release.model_version,
        reason=None if release is None else str(release.reason),
        released_at=None if release is None else release.created_at,
        rolled_back_to=None if release is None else release.rolled_back_to,
        pinned=None if release is None or not release.pinned else told(pinned_by(ledger)),
        pooled_only=release is not None and release.pooled_only,
        problems=(*ledger.problems(), *_damage(release)),
        denied=tuple((entry, str(denylist.path(entry))) for entry in denylist.all("denied")),
        processes=processes,
    )


def _damage(release: Release | None) -> list[str]:
    if release is None:
        return []
    try:
        release.bundle.open(verify=not is_remote(release.bundle.uri))
    except (BundleError, ReleaseError) as error:
        return [f"generation {release.generation}: {error}"]
    return []


def fleet_history(home: Home, fleet: str) -> list[Release]:
    """Return every readable release of a fleet, newest first."""
    return sorted(Ledger(home.fleet(fleet).releases).all(), key=lambda release: -release.generation)
