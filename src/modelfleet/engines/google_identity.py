"""Who calls Google: application default credentials, found and tried within seconds.

Google's own search asks a metadata server that outside of Google does not answer, again and again; whoever only forgot
to sign in should not wait for that.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from modelfleet.errors import CredentialsError, EngineUnavailableError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")

SCOPE = "https://www.googleapis.com/auth/cloud-platform"

SIGN_IN = (
    "sign in with `gcloud auth application-default login`, or name the file of a key or of a workload identity in "
    "$GOOGLE_APPLICATION_CREDENTIALS; in Composer and on Compute Engine the service account is found by itself"
)


@dataclass(frozen=True)
class Identity:
    """Credentials that Google has taken.

    Attributes:
        credentials: As Google's libraries take them.
        name: Whose they are; empty where the credentials do not say.
        project: The project they belong to; empty where they do not say.
    """

    credentials: Any
    name: str
    project: str


def find_identity(*, seconds: float) -> Identity:
    """Return the credentials of this environment, after Google has given a token for them.

    Args:
        seconds: How long the search, and then the token, may each take.

    Raises:
        CredentialsError: There are none, or Google does not take them.
        EngineUnavailableError: Google does not answer.
        MissingExtraError: Google's libraries are not installed.
    """
    try:
        import google.auth
        from google.auth import exceptions
        from google.auth.transport.requests import Request
    except ImportError:
        raise MissingExtraError("google-auth", "gcp") from None
    try:
        credentials, project = within(seconds, lambda: google.auth.default(scopes=[SCOPE]))
    except TimeoutError:
        raise CredentialsError(f"no Google credentials were found within {seconds:g} s: {SIGN_IN}") from None
    except exceptions.DefaultCredentialsError as error:
        raise CredentialsError(f"no Google credentials: {_first_sentence(error)}: {SIGN_IN}") from None
    name = str(getattr(credentials, "service_account_email", "") or "")
    try:
        within(seconds, lambda: credentials.refresh(Request()))
    except TimeoutError:
        raise EngineUnavailableError(f"Google gave no token within {seconds:g} s: is the network up?") from None
    except exceptions.RefreshError as error:
        if error.retryable:
            raise EngineUnavailableError(f"Google gives no token just now: {_first_sentence(error)}") from None
        whose = f" of {name}" if name else ""
        raise CredentialsError(f"Google refuses the credentials{whose}: {_first_sentence(error)}: {SIGN_IN}") from None
    except exceptions.TransportError as error:
        raise EngineUnavailableError(f"Google cannot be reached for a token: {_first_sentence(error)}") from None
    return Identity(credentials, name, str(project or ""))


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """Return what a call returns, or raise what it raises, unless it takes too long.

    A call that is given up goes on in a thread that does not keep the process.

    Raises:
        TimeoutError: It has not returned in time.
    """
    outcome: list[Result] = []
    raised: list[Exception] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not outcome:
        raise TimeoutError
    return outcome[0]


def _first_sentence(error: Exception) -> str:
    return str(error.args[0] if error.args else error).split(". ")[0].strip().rstrip(".")[:300]
