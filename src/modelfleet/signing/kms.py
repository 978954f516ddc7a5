"""A private key in Google's Cloud KMS, which signs and never gives the key out.

The key's purpose is ``ASYMMETRIC_SIGN`` and its algorithm ``EC_SIGN_ED25519``. Whoever signs needs the role
``roles/cloudkms.signerVerifier`` on it; whoever only checks needs the public key and nothing of Google's.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import Any

from modelfleet.errors import InputError, MissingExtraError, SigningUnavailableError
from modelfleet.signing.keyring import PublicKey

VERSION = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+/cryptoKeyVersions/\d+")

SECONDS = 20.0
"""How long the service may take for an answer, all tries together."""


class KmsSigner:
    """Signs with one version of a key.

    Args:
        version: ``projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N``.
        client: As ``google.cloud.kms_v1.KeyManagementServiceClient``; None makes one, with the environment's
            credentials.

    Raises:
        InputError: The name is not that of a version.
    """

    def __init__(self, version: str, client: Any = None) -> None:
        if not VERSION.fullmatch(version):
            raise InputError(
                f"'{version}' is no version of a key: expected "
                "projects/P/locations/L/keyRings/R/cryptoKeys/K/cryptoKeyVersions/N"
            )
        self._version = version
        self._given = client

    @cached_property
    def public(self) -> PublicKey:
        """See ``Signer``; asked of the service once."""
        answer = self._ask("get_public_key", {"name": self._version})
        return PublicKey.from_pem(answer.pem.encode(), self._version)

    def sign(self, message: bytes) -> bytes:
        """See ``Signer``; what comes back is checked by the key's public half, so that nothing wrong is published."""
        import google_crc32c

        request = {
            "name": self._version,
            "data": message,  # ed25519 signs the message itself, not a digest of it
            "data_crc32c": google_crc32c.value(message),
        }
        answer = self._ask("asymmetric_sign", request)
        signature: bytes = answer.signature
        if not (answer.verified_data_crc32c and self.public.accepts(signature, message)):
            raise SigningUnavailableError(
                f"{self._version}: the signature that came back does not fit what was sent; nothing was published: "
                "try again"
            )
        return signature

    @cached_property
    def _client(self) -> Any:
        if self._given is not None:
            return self._given
        try:
            from google.cloud import kms_v1
        except ImportError as error:
            raise MissingExtraError("google.cloud.kms", "gcp") from error
        return kms_v1.KeyManagementServiceClient()

    def _ask(self, method: str, request: dict[str, Any]) -> Any:
        try:
            from google.api_core.exceptions import ClientError, GoogleAPIError
            from google.api_core.retry import Retry
            from google.auth.exceptions import GoogleAuthError
        except ImportError as error:
            raise MissingExtraError("google.cloud.kms", "gcp") from error
        try:
            return getattr(self._client, method)(request=request, timeout=SECONDS, retry=Retry(timeout=SECONDS))
        except (ClientError, GoogleAuthError) as error:
            raise InputError(
                f"{self._version}: refused ({error}); it must be an enabled version of an EC_SIGN_ED25519 key, and "
                "this account needs roles/cloudkms.signerVerifier on it"
            ) from error
        except GoogleAPIError as error:
            raise SigningUnavailableError(f"{self._version}: no answer ({error}); try again") from error


@cache
def public_key(version: str) -> PublicKey:
    """Return the public half of a key; a process asks once, for a version never changes.

    Args:
        version: As ``KmsSigner`` takes it.

    Raises:
        InputError: The name is not that of a version, or the service refuses.
        SigningUnavailableError: The service does not answer.
    """
    return KmsSigner(version).public
