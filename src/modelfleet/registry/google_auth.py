"""Signing in to an MLflow on Cloud Run, which lets in whoever sends an identity token made for its address.

MLflow finds this by its entry point ``mlflow.request_auth_provider`` where ``$MLFLOW_TRACKING_AUTH`` is
``google-id-token``. Source: https://cloud.google.com/run/docs/authenticating/service-to-service
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from modelfleet.errors import CredentialsError, MissingExtraError, RegistryUnavailableError

if TYPE_CHECKING:
    from requests import PreparedRequest

NAME = "google-id-token"

SIGN_IN = (
    "identity tokens are for service accounts: in Composer and on Compute Engine the account is found by itself, "
    "elsewhere name the file of a key in $GOOGLE_APPLICATION_CREDENTIALS. A person sets "
    "MLFLOW_TRACKING_TOKEN=$(gcloud auth print-identity-token) and unsets MLFLOW_TRACKING_AUTH"
)


class GoogleIdToken:
    """What MLflow makes once per process: its ``RequestAuthProvider``, which is not imported only to be told so."""

    def __init__(self) -> None:
        self._auth = IdTokenAuth()

    def get_name(self) -> str:
        """Return what ``$MLFLOW_TRACKING_AUTH`` must be."""
        return NAME

    def get_auth(self) -> IdTokenAuth:
        """Return what signs a request; the same each time, since it keeps the tokens."""
        return self._auth


class IdTokenAuth:
    """Adds a token to each request, as ``requests`` asks it to: one per address, and a new one before it expires.

    A token names the address that it was made for, so that whoever gets it can use it nowhere else.
    """

    def __init__(self) -> None:
        self._credentials: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Sign a request.

        Raises:
            CredentialsError: There is no account here that gets tokens, or Google does not take it.
            MissingExtraError: Google's libraries are not installed.
            RegistryUnavailableError: Google does not answer.
        """
        there = urlsplit(str(request.url))
        request.headers["Authorization"] = f"Bearer {self._token(f'{there.scheme}://{there.netloc}')}"
        return request

    def _token(self, audience: str) -> str:
        try:
            from google.auth import exceptions
            from google.auth.transport.requests import Request
            from google.oauth2 import id_token
        except ImportError:
            raise MissingExtraError("google-auth", "gcp") from None
        find: Any = id_token.fetch_id_token_credentials
        try:
            with self._lock:
                if audience not in self._credentials:
                    self._credentials[audience] = find(audience, Request())
                credentials = self._credentials[audience]
                if not credentials.valid:
                    credentials.refresh(Request())
                return str(credentials.token)
        except exceptions.GoogleAuthError as error:
            if isinstance(error, exceptions.TransportError) or error.retryable:
                raise RegistryUnavailableError(
                    f"MLflow at {audience}: Google gives no token just now ({error}); try again"
                ) from error
            raise CredentialsError(f"MLflow at {audience}: no identity token: {error}: {SIGN_IN}") from error
