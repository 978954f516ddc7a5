"""Promoting a bundle, and going back to an earlier one; both publish a new generation."""

from __future__ import annotations

from modelfleet.errors import InputError, LedgerEmptyError
from modelfleet.releases.fitness import check_opens, check_serves_again
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import STEADY, BundleRef, Release
from modelfleet.releases.pin import check_not_pinned


def promote(
    ledger: Ledger,
    bundle: BundleRef,
    *,
    fleet: str | None = None,
    model_version: str | None = None,
    actor: str = "",
    note: str = "",
    run_id: str | None = None,
    floor: int = 0,
    after: int | None = None,
) -> Release | None:
    """Let a bundle serve.

    Args:
        ledger: The fleet's releases.
        bundle: What shall serve; it must open.
        fleet: Name of the fleet; None means that of the folder the ledger lies in.
        model_version: The registered model's version.
        actor: Who or what promotes.
        note: Free text.
        run_id: The run the bundle comes from.
        floor: Highest generation the registry knows of.
        after: Publish only while this generation is the newest; see ``Ledger.publish``.

    Returns:
        The new release; None where this bundle serves already.

    Raises:
        PinnedError: The fleet is pinned.
        ReleaseError: The bundle is not there or is damaged, or the fleet is set to its pooled model and this has none.
        ReleaseConflictError: Somebody else published in the meantime.
    """
    newest = ledger.newest()  # before anything is decided on: a pin published in between is then a conflict
    latest = ledger.latest()
    if latest is not None and latest.bundle.sha256 == bundle.sha256:
        return None
    check_not_pinned(ledger)
    with ledger.bundles_in_place():
        check_opens(bundle, "cannot be promoted", pooled_only=latest is not None and latest.pooled_only)
        return ledger.publish(
            fleet=fleet,
            bundle=bundle,
            reason="promote",
            model_version=model_version,
            actor=actor,
            note=note,
            run_id=run_id,
            floor=floor,
            after=newest if after is None else after,
        )


def rollback(
    ledger: Ledger, *, to: int | None = None, actor: str = "", note: str = "", after: int | None = None
) -> Release:
    """Let the bundle of an earlier generation serve again, as a new generation; a pin does not stop it, and stays.

    Args:
        ledger: The fleet's releases.
        to: The generation whose bundle shall serve; None means the newest one before what serves now that has
            another bundle. Going back twice goes back two steps.
        actor: Who or what goes back.
        note: Why.
        after: Publish only while this generation is the newest; None means the newest there is now.

    Returns:
        The new release.

    Raises:
        LedgerEmptyError: There is no release yet.
        InputError: There is nothing to go back to, or that bundle serves already.
        ReleaseError: There is no such generation, or its bundle does not open any more, or the fleet is set to its
            pooled model and that bundle has none.
        ReleaseConflictError: Somebody else published in the meantime.
    """
    newest = ledger.newest()  # before anything is decided on: what is published in between is then a conflict
    latest = ledger.latest()
    if latest is None:
        raise LedgerEmptyError(ledger.fleet)
    target = _before(ledger, latest) if to is None else ledger.get(to)
    if target.bundle.sha256 == latest.bundle.sha256:
        raise InputError(
            f"generation {target.generation} has the bundle that serves now (generation {latest.generation})"
        )
    with ledger.bundles_in_place():
        check_serves_again(ledger, target, pooled_only=latest.pooled_only)
        return ledger.publish(
            fleet=latest.fleet,
            bundle=target.bundle,
            reason="rollback",
            model_version=target.model_version,
            actor=actor,
            note=note,
            rolled_back_to=target.generation,
            after=newest if after is None else after,
        )


def _before(ledger: Ledger, latest: Release) -> Release:
    releases = {release.generation: release for release in ledger.all()}
    place = latest
    # A rollback stands where the generation stood that it brought back, a pin where the one before it stood
    while (stands_at := place.rolled_back_to or (place.previous if place.reason in STEADY else None)) in releases:
        place = releases[stands_at]
    for generation in sorted(releases, reverse=True):
        if generation < place.generation and releases[generation].bundle.sha256 != latest.bundle.sha256:
            return releases[generation]
    raise InputError(
        f"{ledger.folder}: no generation before {place.generation} has another bundle: there is nothing to go back to"
    )
