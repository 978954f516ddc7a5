"""The way back: an earlier bundle serves again, as a new generation, and the registry is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.loop.aliases import reconcile
from modelfleet.releases import promote
from modelfleet.releases.ledger import Ledger

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.registry.base import Registry
    from modelfleet.releases.manifest import Release


def roll_back(
    home: Home, fleet: str, *, to: int | None, actor: str, note: str, registry: Registry | None = None
) -> Release:
    """Publish a release that names an earlier bundle; running jobs swap to it from the next batch.

    Args:
        home: The root folder.
        fleet: The fleet.
        to: Generation whose bundle shall serve again; None means the last one that differs.
        actor: Who or what goes back.
        note: Why.
        registry: Whose aliases follow; None means the home's MLflow. One that does not answer is only logged: the
            release stands, and the next run puts the aliases right.

    Raises:
        LedgerEmptyError: There is no release yet.
        InputError: There is nothing to go back to, or that bundle serves already.
        ReleaseError: The bundle is gone or damaged.
        ReleaseConflictError: Somebody else released meanwhile.
    """
    folders = home.fleet(fleet)
    ledger = Ledger(folders.releases, folders.leases)
    release = promote.rollback(ledger, to=to, actor=actor, note=note)
    if registry is None:
        from modelfleet.registry.mlflow import MlflowRegistry

        registry = MlflowRegistry.for_home(home)
    reconcile(fleet, ledger, registry)
    return release
