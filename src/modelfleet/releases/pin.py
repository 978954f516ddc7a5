"""The pin: while a fleet is pinned nothing is promoted; the state is in the newest release."""

from __future__ import annotations

from modelfleet.errors import InputError, LedgerEmptyError, PinnedError
from modelfleet.releases.fitness import check_serves_again
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import Release


def pin(ledger: Ledger, *, note: str, to: int | None = None, actor: str = "") -> Release:
    """Refuse promotions from now on; what serves goes on serving, or the bundle of a named generation does.

    Args:
        ledger: The fleet's releases.
        note: Why; whoever is refused reads it.
        to: The generation whose bundle shall serve; None means what serves now.
        actor: Who pins.

    Returns:
        The new release.

    Raises:
        LedgerEmptyError: There is no release yet.
        InputError: It is pinned to that bundle already, or nothing says why.
        ReleaseError: There is no such generation, or its bundle cannot serve again.
        ReleaseConflictError: Somebody else published in the meantime.
    """
    if not note.strip():
        raise InputError("a pin needs a reason: whoever is refused a promotion reads it")
    newest = ledger.newest()  # before anything is decided on: what is published in between is then a conflict
    latest = _latest(ledger)
    target = latest if to is None else ledger.get(to)
    moves = target.bundle.sha256 != latest.bundle.sha256
    if latest.pinned and not moves:
        raise InputError(f"fleet '{ledger.fleet}' is {told(pinned_by(ledger))} already")
    with ledger.bundles_in_place():
        if moves:
            check_serves_again(ledger, target, pooled_only=latest.pooled_only)
        return ledger.publish(
            fleet=latest.fleet,
            bundle=target.bundle,
            reason="pin",
            model_version=target.model_version,
            actor=actor,
            note=note,
            rolled_back_to=target.generation if moves else None,
            pinned=True,
            after=newest,
        )


def unpin(ledger: Ledger, *, note: str = "", actor: str = "") -> Release:
    """Let promotions through again; what serves goes on serving.

    Args:
        ledger: The fleet's releases.
        note: Why.
        actor: Who.

    Returns:
        The new release.

    Raises:
        LedgerEmptyError: There is no release yet.
        InputError: It is not pinned.
        ReleaseConflictError: Somebody else published in the meantime.
    """
    newest = ledger.newest()
    latest = _latest(ledger)
    if not latest.pinned:
        raise InputError(f"fleet '{ledger.fleet}' is not pinned")
    return ledger.publish(
        fleet=latest.fleet,
        bundle=latest.bundle,
        reason="unpin",
        model_version=latest.model_version,
        actor=actor,
        note=note,
        pinned=False,
        after=newest,
    )


def check_not_pinned(ledger: Ledger) -> None:
    """Let a promotion pass.

    Raises:
        PinnedError: The fleet is pinned; the message says by whom, since when, and why.
    """
    latest = ledger.latest()
    if latest is not None and latest.pinned:
        raise PinnedError(
            f"nothing promoted: fleet '{ledger.fleet}' is {told(pinned_by(ledger))}; "
            f"`modelfleet unpin fleets/{ledger.fleet}.yaml` lets promotions through again"
        )


def pinned_by(ledger: Ledger) -> Release | None:
    """Return the release by which the fleet is pinned now; None where it is not.

    Where that release's file is gone, it is the oldest one known to hold the pin.
    """
    holds: Release | None = None
    for release in reversed(ledger.all()):
        if not release.pinned:
            break
        holds = release
        if release.reason == "pin":
            break
    return holds


def told(release: Release | None) -> str:
    """Return who pinned a fleet, since when and why, as the rest of a sentence; without a release, only that."""
    if release is None:
        return "pinned"
    since = f"{release.created_at:%Y-%m-%d %H:%M:%S %Z}"
    why = f", because: {release.note}" if release.note else ""
    return f"pinned by '{release.actor}' since {since} (generation {release.generation}){why}"


def _latest(ledger: Ledger) -> Release:
    latest = ledger.latest()
    if latest is None:
        raise LedgerEmptyError(ledger.fleet)
    return latest
