"""What a release file says, byte for byte: how it is signed, and whether to believe it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from modelfleet.errors import InputError, ReleaseError, SignatureError
from modelfleet.releases.manifest import FORMAT, Release, Signature
from modelfleet.signing.keyring import PUBLIC_KEYS
from modelfleet.signing.signer import SIGNING_KEY

if TYPE_CHECKING:
    from modelfleet.signing.keyring import Keyring
    from modelfleet.signing.signer import Signer

DAMAGED = "it is damaged and cannot serve; publish another by a run or a rollback"

PURPOSE = b"modelfleet release 1\n"
"""Comes before what is signed, so that no signature for another purpose ever passes for a release's."""


def signed(release: Release, signer: Signer | None, keys: Keyring) -> Release:
    """Return a release with its signature; as it is where nothing signs here.

    Args:
        release: Complete but for its signature.
        signer: Who signs; None means nobody.
        keys: Who is believed here, which others surely do too.

    Raises:
        InputError: Releases are checked here, and this one would not pass.
        SigningUnavailableError: The key service does not answer.
    """
    if signer is None:
        if keys:
            raise InputError(
                f"generation {release.generation} of '{release.fleet}' would not be signed, and ${PUBLIC_KEYS} is set, "
                f"so no process would serve it: set ${SIGNING_KEY} (keys believed: {keys.told})"
            )
        return release
    if keys and signer.public.id not in keys.keys:
        raise InputError(
            f"${SIGNING_KEY} is key {signer.public.id}, which is not among those of ${PUBLIC_KEYS} ({keys.told}): no "
            "process would serve what it signs; add its public key there first"
        )
    value = signer.sign(_canonical(_unsigned(release)))
    return release.model_copy(
        update={"signature": Signature(key=signer.public.id, ed25519=base64.b64encode(value).decode())}
    )


def to_bytes(release: Release) -> bytes:
    """Return the file's content; one without a signature is written as ever."""
    left_out = {"signature"} if release.signature is None else None
    return (release.model_dump_json(indent=1, exclude=left_out) + "\n").encode()


def parse(data: bytes, where: str, generation: int, keys: Keyring, fleet: str) -> Release:
    """Read a release file, after checking who signed it.

    Args:
        data: Its content.
        where: What messages call it.
        generation: The number its name says.
        keys: Who is believed; an empty keyring believes everybody.
        fleet: Whose ledger it lies in; of another's is nothing believed, whoever signed it.

    Raises:
        SignatureError: It is not signed, or not by one of these keys, or not for this place.
        ReleaseError: It is damaged.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"{where}: not JSON ({error}), {len(data)} bytes: {DAMAGED}") from None
    number = document.get("format") if isinstance(document, dict) else None
    if number != FORMAT:
        raise ReleaseError(f"{where}: release format {number!r}, this version reads {FORMAT}: {DAMAGED}")
    signature = document.pop("signature", None)
    content = _canonical(document)
    if keys:
        _check(signature, content, where, keys)
    try:
        # Read from the very bytes that were checked, and not from the file: a name that stands there twice, say, has
        # one meaning then
        release = Release.model_validate_json(content.removeprefix(PURPOSE))
        if signature is not None:
            release = release.model_copy(update={"signature": Signature.model_validate(signature)})
    except ValidationError as error:
        issue = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in issue["loc"])
        raise ReleaseError(f"{where}: {field} is {issue['input']!r}: {issue['msg']}: {DAMAGED}") from None
    if release.generation != generation:
        raise ReleaseError(f"{where}: says generation {release.generation}, its name says {generation}: {DAMAGED}")
    if keys and release.fleet != fleet:
        raise SignatureError(
            f"{where}: is signed for fleet '{release.fleet}', and this is the ledger of '{fleet}': it was copied here "
            "and does not serve; delete it"
        )
    return release


def _check(signature: Any, content: bytes, where: str, keys: Keyring) -> None:
    if signature is None:
        raise SignatureError(
            f"{where}: is not signed, and only releases signed by {keys.told} serve here: publish it anew with "
            f"${SIGNING_KEY} set (`modelfleet rollback` or a run); if nobody of yours wrote it, somebody else can "
            "write to the ledger"
        )
    try:
        known = Signature.model_validate(signature)
        value = base64.b64decode(known.ed25519, validate=True)
    except ValueError:  # pydantic's is one too
        raise SignatureError(f"{where}: its signature is {str(signature)[:80]!r}, which is none: {DAMAGED}") from None
    if known.key not in keys.keys:
        raise SignatureError(
            f"{where}: is signed by key {known.key}, and only {keys.told} are believed here: add its public key to "
            f"${PUBLIC_KEYS} if it is yours, else publish another release by `modelfleet rollback`"
        )
    if not keys.keys[known.key].accepts(value, content):
        raise SignatureError(
            f"{where}: is not what key {known.key} signed: it was altered and does not serve; publish another release "
            "by a run or `modelfleet rollback`, and find out who can write to the ledger"
        )


def _unsigned(release: Release) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(release.model_dump_json(exclude={"signature"}))
    return document


def _canonical(document: dict[str, Any]) -> bytes:
    """Return a document's bytes as they are signed: names in order, no spaces, ASCII only."""
    return PURPOSE + json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")
