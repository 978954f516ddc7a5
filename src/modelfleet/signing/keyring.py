"""The public keys by which a release is believed; several at once, so that one can take another's place."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.errors import InputError, MissingExtraError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

PUBLIC_KEYS = "MODELFLEET_PUBLIC_KEYS"
"""Names a PEM file of one or several public keys, or a folder of such files; or, with commas between them, versions of
keys in Cloud KMS, ``gcpkms://projects/.../cryptoKeyVersions/N``, whose public halves the service tells."""

KMS = "gcpkms://"
"""Begins the name of a key in Google's Cloud KMS."""

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


@dataclass(frozen=True)
class PublicKey:
    """An ed25519 public key.

    Attributes:
        raw: Its 32 bytes.
    """

    raw: bytes

    @property
    def id(self) -> str:
        """How messages and signatures name it: the first 16 hex digits of the sha256 of its bytes."""
        return hashlib.sha256(self.raw).hexdigest()[:16]

    def accepts(self, signature: bytes, message: bytes) -> bool:
        """Return whether the holder of the private key signed just these bytes."""
        from cryptography.exceptions import InvalidSignature

        try:
            _ed25519().from_public_bytes(self.raw).verify(signature, message)
        except InvalidSignature:
            return False
        return True

    @classmethod
    def from_pem(cls, pem: bytes, where: str) -> PublicKey:
        """Read a PEM block.

        Args:
            pem: One block, as ``modelfleet keys new`` and key services write them.
            where: What messages call its place.

        Raises:
            InputError: It is no ed25519 public key.
        """
        kind = _ed25519()
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

        try:
            key = load_pem_public_key(pem)
        except ValueError as error:
            raise InputError(
                f"{where}: holds no public key in PEM ({error}); `modelfleet keys new` makes a pair"
            ) from None
        if not isinstance(key, kind):
            raise InputError(f"{where}: is a key of another kind ({type(key).__name__}), expected ed25519")
        return cls(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


class Keyring:
    """Public keys by their id; an empty one believes everything, signed or not.

    Args:
        keys: The keys; the same one twice counts once.
    """

    def __init__(self, keys: Iterable[PublicKey] = ()) -> None:
        self.keys = {key.id: key for key in keys}

    def __bool__(self) -> bool:
        """Whether anything is checked at all."""
        return bool(self.keys)

    @property
    def texts(self) -> tuple[str, ...]:
        """The keys as text, in order of their ids, to be told to another process; see ``from_texts``."""
        return tuple(base64.b64encode(self.keys[name].raw).decode() for name in sorted(self.keys))

    @property
    def told(self) -> str:
        """The ids, for messages."""
        return ", ".join(sorted(self.keys)) or "none"

    @classmethod
    def from_texts(cls, texts: Iterable[str]) -> Keyring:
        """Return the keyring of which ``texts`` were told.

        Raises:
            InputError: One of them is no key.
        """
        keys = []
        for text in texts:
            try:
                raw = base64.b64decode(text, validate=True)
            except binascii.Error:
                raw = b""
            if len(raw) != 32:
                raise InputError(f"'{text[:60]}' is no ed25519 public key: expected 32 bytes in base64")
            keys.append(PublicKey(raw))
        return cls(keys)

    @classmethod
    def from_path(cls, path: Path) -> Keyring:
        """Read a PEM file, or every ``*.pem`` of a folder; private keys in the folder are left alone.

        Raises:
            InputError: There is no such file, no public key, or a key of another kind.
        """
        files = sorted(path.glob("*.pem")) if path.is_dir() else [path]
        keys = []
        for file in files:
            try:
                data = file.read_bytes()
            except OSError as error:
                if path.is_dir() and isinstance(error, PermissionError):
                    continue  # somebody's private key beside its public one
                raise InputError(
                    f"{file}: cannot be read ({error.strerror}); ${PUBLIC_KEYS} names a PEM file or a folder of them"
                ) from None
            blocks = [found[0] for found in _PEM.finditer(data) if found[1] == b"PUBLIC KEY"]
            keys += [PublicKey.from_pem(block, str(file)) for block in blocks]
        if not keys:
            raise InputError(
                f"{path}: holds no public key in PEM; ${PUBLIC_KEYS} names a PEM file or a folder of *.pem files, "
                "and `modelfleet keys new` makes a pair"
            )
        return cls(keys)

    @classmethod
    def from_environment(cls) -> Keyring:
        """Read what ``$MODELFLEET_PUBLIC_KEYS`` names; an empty keyring where it is not set.

        Raises:
            InputError: It is set, and names no public key.
            SigningUnavailableError: It names one of a key service, which does not answer.
        """
        named = os.environ.get(PUBLIC_KEYS)
        if not named:
            return cls()
        if named.startswith(KMS):
            from modelfleet.signing.kms import public_key

            return cls(public_key(version.strip().removeprefix(KMS)) for version in named.split(","))
        return cls.from_path(Path(named))


def _ed25519() -> type[Ed25519PublicKey]:
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise MissingExtraError("cryptography", "signing") from error
    return Ed25519PublicKey
