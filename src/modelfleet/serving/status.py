"""What serves, and where: the ledger and the leases of a fleet, put side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pydantic import AwareDatetime, BaseModel, ConfigDict

from modelfleet.errors import BundleError, ReleaseError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.pin import pinned_by, told
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
    """

    model_config = ConfigDict(frozen=True)

    process: str
    job: str
    serving: int | None
    serving_since: AwareDatetime | None
    current: bool
    refused: tuple[Refusal, ...]
    age_seconds: float


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
        if not self.processes:
            lines.append(f"  no process serves it; `modelfleet serve fleets/{self.fleet}.yaml` starts one")
        for process in self.processes:
            serves = "nothing yet" if process.serving is None else f"generation {process.serving}"
            behind = "" if process.current or self.generation is None else f" (newest is {self.generation})"
            lines.append(f"  {process.process} serves {serves}{behind}, lease renewed {process.age_seconds:.0f} s ago")
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
        processes=processes,
    )


def _damage(release: Release | None) -> list[str]:
    if release is None:
        return []
    try:
        release.bundle.open()
    except (BundleError, ReleaseError) as error:
        return [f"generation {release.generation}: {error}"]
    return []


def fleet_history(home: Home, fleet: str) -> list[Release]:
    """Return every readable release of a fleet, newest first."""
    return sorted(Ledger(home.fleet(fleet).releases).all(), key=lambda release: -release.generation)
