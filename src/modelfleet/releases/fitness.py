"""Whether a bundle can serve at all, looked at before a release names it."""

from __future__ import annotations

from modelfleet.errors import BundleError, ReleaseError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef, Release, those_there

MOST_NAMED = 10
"""So many generations that could serve instead are named, the newest ones."""


def check_opens(bundle: BundleRef, otherwise: str, *, pooled_only: bool = False) -> None:
    """Open a bundle and check every file of it.

    Args:
        bundle: What a release names, or shall name.
        otherwise: What the message begins with if it does not open.
        pooled_only: Whether its pooled model shall answer for every entity, so that it must have one.

    Raises:
        ReleaseError: It is not there or is damaged, or lacks the pooled model.
    """
    try:
        opened = bundle.open()
    except (BundleError, ReleaseError) as error:
        raise ReleaseError(f"{otherwise}: {error}") from error
    if pooled_only and opened.manifest.pooled is None:
        raise ReleaseError(
            f"{otherwise}: the fleet is set to its pooled model only, and {bundle.uri} has none: every request would "
            "fail; let the models of the entities answer again first (`modelfleet serve SPEC --whole-fleet`)"
        )


def check_serves_again(ledger: Ledger, release: Release, *, pooled_only: bool) -> None:
    """Check the bundle of an earlier release before another names it too.

    Raises:
        ReleaseError: As ``check_opens`` says. Where the bundle was removed, the message says whose are left, and where
            a copy of it is.
    """
    unfit = f"generation {release.generation} cannot serve again; choose another with --to"
    if not release.bundle.there:
        copy = (
            f", or put it back: version {release.model_version} in MLflow has a copy" if release.model_version else ""
        )
        releases = ledger.all()
        there = those_there(releases)
        left = sorted({r.generation for r in releases if r.bundle.uri in there}, reverse=True)[:MOST_NAMED]
        names = ", ".join(map(str, left)) or "none"
        raise ReleaseError(
            f"{unfit}: {release.bundle.uri}: the bundle is not there; `modelfleet gc` removes what the spec's "
            f"retention does not keep. The newest generations whose bundles are there: {names}{copy}"
        )
    check_opens(release.bundle, unfit, pooled_only=pooled_only)
