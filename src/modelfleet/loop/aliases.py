"""Making the registry say what the ledger says; the ledger is the truth."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from modelfleet.errors import RegistryUnavailableError

if TYPE_CHECKING:
    from modelfleet.registry.base import Registry
    from modelfleet.releases.ledger import Ledger

logger = logging.getLogger(__name__)


def reconcile(fleet: str, ledger: Ledger, registry: Registry) -> bool:
    """Set aliases and generation tags by the ledger; call it again whenever you like.

    Args:
        fleet: The fleet.
        ledger: Its releases.
        registry: What shall agree with them.

    Returns:
        False where the registry does not answer: that is logged, and the next run puts it right.
    """
    try:
        registry.reconcile(fleet, ledger.all())
    except RegistryUnavailableError as error:
        logger.warning("the release stands, but the registry's aliases are out of date until the next run: %s", error)
        return False
    return True
