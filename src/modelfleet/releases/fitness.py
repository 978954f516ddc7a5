"""Whether a bundle can serve at all, looked at before a release names it."""

from __future__ import annotations

from modelfleet.errors import BundleError, ReleaseError
from modelfleet.releases.manifest import BundleRef


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
