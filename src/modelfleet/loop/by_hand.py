"""Releases that a person publishes: back to an earlier bundle, a pin, its end, the kill switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from modelfleet.loop.aliases import reconcile
from modelfleet.releases import mode, pin, promote
from modelfleet.releases.ledger import Ledger

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.registry.base import Registry
    from modelfleet.releases.manifest import Release


class ByHand:
    """What a person can do to a fleet; running jobs follow from the next batch.

    Every method raises ``LedgerEmptyError`` where there is no release yet, and ``ReleaseConflictError`` where somebody
    else released meanwhile.

    Args:
        home: The root folder.
        fleet: The fleet.
        actor: Who does it.
        registry: Whose aliases follow; None means the home's MLflow. One that does not answer is only logged: the
            release stands, and the next run puts the aliases right.
    """

    def __init__(self, home: Home, fleet: str, *, actor: str, registry: Registry | None = None) -> None:
        folders = home.fleet(fleet)
        self._home = home
        self._fleet = fleet
        self._actor = actor
        self._registry = registry
        self._ledger = Ledger(folders.releases, folders.leases)

    def roll_back(self, *, to: int | None = None, note: str = "") -> Release:
        """Publish a release that names an earlier bundle.

        Args:
            to: Generation whose bundle shall serve again; None means the last one that differs.
            note: Why.

        Raises:
            InputError: There is nothing to go back to, or that bundle serves already.
            ReleaseError: The bundle is gone or damaged.
        """
        return self._published(promote.rollback(self._ledger, to=to, actor=self._actor, note=note))

    def pin(self, *, note: str, to: int | None = None) -> Release:
        """Refuse promotions from now on; see ``modelfleet.releases.pin.pin``."""
        return self._published(pin.pin(self._ledger, to=to, actor=self._actor, note=note))

    def unpin(self, *, note: str = "") -> Release:
        """Let promotions through again; see ``modelfleet.releases.pin.unpin``."""
        return self._published(pin.unpin(self._ledger, actor=self._actor, note=note))

    def set_mode(self, *, pooled_only: bool, note: str = "") -> Release | None:
        """Turn the kill switch; see ``modelfleet.releases.mode.set_mode``."""
        release = mode.set_mode(self._ledger, pooled_only=pooled_only, actor=self._actor, note=note)
        return None if release is None else self._published(release)

    def _published(self, release: Release) -> Release:
        registry = self._registry
        if registry is None:
            from modelfleet.registry.mlflow import MlflowRegistry

            registry = MlflowRegistry.for_home(self._home)
        reconcile(self._fleet, self._ledger, registry)
        return release
