"""A release: the immutable, numbered manifest that says which bundle serves."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from modelfleet.bundles.format import MANIFEST_NAME
from modelfleet.errors import MissingExtraError, ReleaseError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import SCHEMES, place

if TYPE_CHECKING:
    from modelfleet.bundles.reader import Bundle

FORMAT = 1
"""The format this version writes, and the only one it reads."""

AT_ONCE = 8
"""So many bundles are looked for at a time."""

Reason = Literal["promote", "rollback", "pin", "unpin", "mode"]

STEADY: frozenset[Reason] = frozenset({"pin", "unpin", "mode"})
"""Releases for these reasons serve the bundle of the one before, unless they go back to another."""


class BundleRef(BaseModel):
    """The bundle that serves.

    Attributes:
        uri: Its folder, or a URL, such as ``gs://bucket/bundles/0123``.
        sha256: Its hash; a folder with another one is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    uri: str = Field(min_length=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @property
    def there(self) -> bool:
        """Whether its folder is there; ``modelfleet gc`` removes those of old releases.

        A bucket is asked, and one that does not answer says nothing: the bundle counts as there, as at any other URL.
        """
        found = place(self.uri)
        if isinstance(found, Path):
            return found.is_dir()
        if found.scheme not in SCHEMES:
            return True
        try:
            open_store(found).written_at(MANIFEST_NAME)
        except FileNotFoundError:
            return False
        except (OSError, MissingExtraError):
            return True
        return True

    def open(self, *, verify: bool = True) -> Bundle:
        """Open the bundle; see ``Bundle.open`` for ``verify``.

        Raises:
            ReleaseError: There is no such folder.
            BundleError: The bundle is damaged, or not in its bucket, or is another one than the release named.
        """
        from modelfleet.bundles.reader import Bundle

        if isinstance(found := place(self.uri), Path) and not found.is_dir():
            raise ReleaseError(f"{self.uri}: the bundle is not there; put it back, or go back to another generation")
        return Bundle.open(self.uri, sha256=self.sha256, verify=verify)


class Signature(BaseModel):
    """Who vouches for a release: for all of it, and by its bundle's hash for every byte of the bundle.

    Attributes:
        key: Id of the public key that checks it.
        ed25519: The signature's 64 bytes in base64.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = Field(pattern="^[0-9a-f]{16}$")
    ed25519: str = Field(pattern="^[A-Za-z0-9+/]{86}==$")


class Release(BaseModel):
    """One generation of a fleet.

    Attributes:
        format: Format number.
        fleet: Name of the fleet.
        generation: The release's number; only ever grows.
        bundle: What serves.
        model_version: The registered model's version; None where the registry was not used.
        reason: Why it was published.
        actor: Who or what published it.
        note: Free text.
        run_id: The run it came from; None where a person, or confirm, published it.
        previous: The generation that served before; None for the first.
        rolled_back_to: For a rollback, or a pin to an earlier generation, the one whose bundle serves again.
        pinned: Whether promotions are refused; like ``pooled_only`` it holds until a later release says otherwise.
        pooled_only: Whether the pooled model answers for every entity.
        nonce: Random; by it a writer whose success was lost recognises its own file.
        created_at: When.
        signature: Who vouches for it; None where nothing signs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = Field(default=FORMAT, ge=FORMAT, le=FORMAT)
    fleet: str
    generation: int = Field(ge=1)
    bundle: BundleRef
    model_version: str | None = None
    reason: Reason
    actor: str = ""
    note: str = ""
    run_id: str | None = None
    previous: int | None = None
    rolled_back_to: int | None = None
    pinned: bool = False
    pooled_only: bool = False
    nonce: str
    created_at: AwareDatetime
    signature: Signature | None = None


def those_there(releases: Iterable[Release]) -> frozenset[str]:
    """Return the uris of the bundles of releases that were not removed; each is looked for once, some at a time."""
    refs = {release.bundle.uri: release.bundle for release in releases}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        there = pool.map(lambda ref: ref.there, refs.values())
        return frozenset(uri for uri, is_there in zip(refs, there, strict=True) if is_there)
