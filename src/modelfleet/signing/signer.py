"""The private key that signs releases: in a file, or in a key service that never gives it out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

from modelfleet.errors import InputError, MissingExtraError
from modelfleet.signing.keyring import KMS, PublicKey

SIGNING_KEY = "MODELFLEET_SIGNING_KEY"
"""Names the private key: a PEM file, or ``gcpkms://projects/.../cryptoKeyVersions/N``."""


class Signer(Protocol):
    """Holds a private key, or asks somebody who does.

    Attributes:
        public: The key by which others check what it signs.
    """

    @property
    def public(self) -> PublicKey:
        """See above."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature.

        Raises:
            SigningUnavailableError: The key service does not answer; a retry may help.
            InputError: It refuses, or the key is of another kind.
        """
        ...


class FileSigner:
    """A private key in a PEM file, without a password.

    Args:
        path: The file.

    Raises:
        InputError: It cannot be read, or holds no ed25519 private key.
    """

    def __init__(self, path: Path) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
            from cryptography.hazmat.primitives.serialization import load_pem_private_key
        except ImportError as error:
            raise MissingExtraError("cryptography", "signing") from error
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); ${SIGNING_KEY} names it") from None
        except (ValueError, TypeError) as error:  # TypeError: it has a password
            raise InputError(
                f"{path}: holds no private key in PEM without a password ({error}); `modelfleet keys new` makes a pair"
            ) from None
        if not isinstance(key, Ed25519PrivateKey):
            raise InputError(f"{path}: is a key of another kind ({type(key).__name__}), expected ed25519")
        self._key = key
        self._public = PublicKey(key.public_key().public_bytes_raw())

    @property
    def public(self) -> PublicKey:
        """See ``Signer``."""
        return self._public

    def sign(self, message: bytes) -> bytes:
        """See ``Signer``."""
        return self._key.sign(message)


def signer_from_environment() -> Signer | None:
    """Return the signer that ``$MODELFLEET_SIGNING_KEY`` names; None where it is not set.

    Raises:
        InputError: It is set, and names no usable key.
        SigningUnavailableError: The key service does not answer.
    """
    named = os.environ.get(SIGNING_KEY)
    if not named:
        return None
    if named.startswith(KMS):
        from modelfleet.signing.kms import KmsSigner

        return KmsSigner(named.removeprefix(KMS))
    if "://" in named:
        raise InputError(f"${SIGNING_KEY} is '{named}': expected a PEM file, or {KMS}projects/.../cryptoKeyVersions/N")
    return FileSigner(Path(named))
