"""The kill switch: whether every entity has its own model's answers, or the pooled model's; a fact of the release."""

from __future__ import annotations

from modelfleet.errors import InputError, LedgerEmptyError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import Release


def set_mode(ledger: Ledger, *, pooled_only: bool, actor: str = "", note: str = "") -> Release | None:
    """Publish a release of the bundle that serves, with the other mode.

    Running processes follow from the next batch on; they have the models already and load nothing.

    Args:
        ledger: The fleet's releases.
        pooled_only: Whether the pooled model shall answer for every entity.
        actor: Who decides it.
        note: Why.

    Returns:
        The new release; None where it is so already.

    Raises:
        LedgerEmptyError: There is no release yet.
        InputError: What serves has no pooled model.
        BundleError: What serves is damaged.
        ReleaseError: What serves is not there any more.
        ReleaseConflictError: Somebody else published in the meantime.
    """
    newest = ledger.newest()  # before anything is decided on: what is published in between is then a conflict
    latest = ledger.latest()
    if latest is None:
        raise LedgerEmptyError(ledger.fleet)
    if latest.pooled_only == pooled_only:
        return None
    # The switch is for bad times: its own files are not read again, so that it works at once
    if pooled_only and latest.bundle.open(verify=False).manifest.pooled is None:
        raise InputError(
            f"fleet '{ledger.fleet}': generation {latest.generation} has no pooled model, so nothing could answer "
            f"instead of the entities' own; go back to a better generation: `modelfleet rollback "
            f"fleets/{ledger.fleet}.yaml`"
        )
    return ledger.publish(
        fleet=latest.fleet,
        bundle=latest.bundle,
        reason="mode",
        model_version=latest.model_version,
        actor=actor,
        note=note,
        pooled_only=pooled_only,
        after=newest,
    )
