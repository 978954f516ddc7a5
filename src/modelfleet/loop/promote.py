"""The promote step: the registered bundle becomes the next generation."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from modelfleet.errors import PinnedError, ReleaseConflictError
from modelfleet.loop.aliases import reconcile
from modelfleet.loop.register import default_registry
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.pin import check_not_pinned
from modelfleet.releases.promote import promote as publish

if TYPE_CHECKING:
    from modelfleet.registry.base import Registry
    from modelfleet.releases.manifest import Release
    from modelfleet.run import Run


@dataclass(frozen=True)
class Promoted:
    """What became of a run's bundle.

    Attributes:
        generation: The release that names it; None where nothing was published.
        outcome: ``promoted``; ``no_change`` where it serves already; ``refused`` where the gate refused the run;
            ``pinned`` where the fleet is pinned.
        reason: Who pinned it, since when and why; empty for every other outcome.
    """

    generation: int | None
    outcome: Literal["promoted", "no_change", "refused", "pinned"]
    reason: str = ""


def promote(run: Run, registry: Registry | None = None) -> Promoted:
    """Publish the run's bundle, then make the registry's aliases say so.

    The bundle and the version are there already, so a crash leaves the old release or the new one, and calling it
    again finishes the work: a run is published once, even if it was rolled back since. A registry that fails after
    the release is written does not undo it; the next run reconciles the aliases. A fleet that is pinned is a result,
    not a failure; called again once it is unpinned, this promotes.

    Args:
        run: A registered run.
        registry: None means MLflow, as the environment says.

    Raises:
        StepError: The run is not registered.
        ReleaseError: The bundle is not there any more, or is damaged.
        ReleaseConflictError: Something else serves now than what the run was compared with.
        RegistryUnavailableError: The registry does not answer; nothing was published.
    """
    registered = run.read("register")
    if registered["bundle"] is None:
        return _done(run, Promoted(None, "refused"))
    ledger = Ledger(run.fleet_home.releases, run.fleet_home.leases)
    registry = registry or default_registry(run)
    release = _published(ledger, run.record.run_id)
    if release is None:
        newest = ledger.newest()  # before the base is checked: what is published in between is then a conflict
        try:
            check_not_pinned(ledger)
            _check_base(ledger, run)
            release = publish(
                ledger,
                BundleRef(uri=registered["bundle"], sha256=registered["bundle_sha256"]),
                fleet=run.spec.fleet,
                model_version=registered["model_version"],
                actor=run.record.actor,
                note=run.record.reason,
                run_id=run.record.run_id,
                floor=registry.floor(run.spec.fleet),
                after=newest,
            )
        except PinnedError as error:
            return _done(run, Promoted(None, "pinned", str(error)))
    reconcile(run.spec.fleet, ledger, registry)
    if release is None:
        return _done(run, Promoted(None, "no_change"))
    return _done(run, Promoted(release.generation, "promoted"))


def _published(ledger: Ledger, run_id: str) -> Release | None:
    return next((release for release in ledger.all() if release.run_id == run_id), None)


def _check_base(ledger: Ledger, run: Run) -> None:
    """Refuse to replace a bundle that the run was not compared with, such as one somebody rolled back to."""
    base, latest = run.record.champion, ledger.latest()
    expected = None if base is None else base.sha256
    serving = None if latest is None else latest.bundle.sha256
    if expected != serving:
        begun = "nothing" if base is None else f"generation {base.generation}"
        now = "nothing" if latest is None else f"generation {latest.generation} ({latest.reason} by '{latest.actor}')"
        raise ReleaseConflictError(
            f"run {run.record.run_id} was compared with {begun}, but {now} serves now: nothing was published; "
            "run the loop again"
        )


def _done(run: Run, result: Promoted) -> Promoted:
    run.write("promote", asdict(result))
    return result
