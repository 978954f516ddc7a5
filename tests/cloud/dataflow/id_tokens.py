"""Identity tokens as Google gives them to a service account, signed with a key of these tests."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt

ISSUER = "https://accounts.google.com"


@dataclass
class IdTokens:
    """Who gives and who believes them.

    Attributes:
        seconds: How long the next ones hold.
        given: For which addresses tokens were asked, in order.
    """

    seconds: int = 3600
    given: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        private = rsa.generate_private_key(65537, 2048)
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._signer = crypt.RSASigner.from_string(pem, "1")
        self._public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def give(self, assertion: str) -> str | None:
        """Return the token that a service account asks for; None where it asks for another kind.

        Args:
            assertion: What the account has signed.
        """
        asked = jwt.decode(assertion, verify=False)
        if "target_audience" not in asked:
            return None
        self.given.append(asked["target_audience"])
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": asked["target_audience"],
            "email": asked["iss"],
            "iat": now,
            "exp": now + self.seconds,
        }
        token: bytes = jwt.encode(self._signer, claims)
        return token.decode()

    def whose(self, token: str, audience: str) -> str:
        """Return whose a token is.

        Raises:
            ValueError: It is not ours, has expired, or was made for another address.
        """
        return str(jwt.decode(token, certs=self._public, audience=audience)["email"])
