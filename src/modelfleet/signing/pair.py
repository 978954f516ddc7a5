"""Making a pair of keys."""

from __future__ import annotations

import os
from pathlib import Path

from modelfleet.errors import InputError, MissingExtraError
from modelfleet.signing.keyring import PublicKey

PRIVATE_NAME = "signing.pem"
PUBLIC_NAME = "public.pem"


def new_pair(folder: Path) -> PublicKey:
    """Write ``signing.pem``, readable by this user alone, and ``public.pem``; never over a key that is there.

    Args:
        folder: Made if absent, for this user alone.

    Returns:
        The public key.

    Raises:
        InputError: One of the files is there already.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    except ImportError as error:
        raise MissingExtraError("cryptography", "signing") from error
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for name, content, mode in ((PRIVATE_NAME, private, 0o600), (PUBLIC_NAME, public, 0o644)):
        try:
            file = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            raise InputError(
                f"{folder / name}: is there already, and a key is never written over; name another folder"
            ) from None
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
    return PublicKey(key.public_key().public_bytes_raw())
