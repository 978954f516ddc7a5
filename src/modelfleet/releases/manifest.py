"""A release: the immutable, numbered manifest that says which bundle serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from modelfleet.errors import ReleaseError

if TYPE_CHECKING:
    from modelfleet.bundles.reader import Bundle

FORMAT = 1
"""The format this version writes, and the only one it reads."""

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
        """Whether the folder is there, as a URL is taken to be; ``modelfleet gc`` removes those of old releases."""
        from modelfleet.bundles.storage import is_remote

        return is_remote(self.uri) or Path(self.uri).is_dir()

    def open(self, *, verify: bool = True) -> Bundle:
        """Open the bundle; see ``Bundle.open`` for ``verify``.

        Raises:
            ReleaseError: There is no such folder.
            BundleError: The bundle is damaged, or is another one than the release named.
        """
        from modelfleet.bundles.reader import Bundle

        if not self.there:
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
