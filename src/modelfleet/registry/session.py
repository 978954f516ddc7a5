"""Talking to MLflow: which one, and giving up within seconds when it does not answer."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.errors import MissingExtraError, ModelfleetError, RegistryUnavailableError

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from modelfleet.home import Home

SQLITE = "sqlite:///"

SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
}
"""By default MLflow retries for minutes, reports its use to its makers, and tells of every table that it creates and
that there is no pip. What the environment sets is left alone."""

FIRST_QUESTION = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
"""Whether it is there at all is asked without patience."""

REFUSALS = frozenset(
    {
        "BAD_REQUEST",
        "FEATURE_DISABLED",
        "INVALID_PARAMETER_VALUE",
        "PERMISSION_DENIED",
        "RESOURCE_ALREADY_EXISTS",
        "RESOURCE_DOES_NOT_EXIST",
        "UNAUTHENTICATED",
    }
)
"""Answers that trying again will not change."""


def tracking_uri(home: Home) -> str:
    """Return ``$MLFLOW_TRACKING_URI``, or a SQLite file below the home folder."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}{home.mlflow / 'mlflow.db'}"


@contextmanager
def mlflow_session(uri: str) -> Iterator[MlflowClient]:
    """Use MLflow at ``uri``, as its default too, and put the default back afterwards.

    Args:
        uri: A tracking URI.

    Raises:
        MissingExtraError: MLflow is not installed.
        RegistryUnavailableError: It does not answer, or fails on its side.
        CredentialsError: It wants to know who asks, and there are no credentials to tell.
        ModelfleetError: It refuses what it was asked.
    """
    with _environment(SETTINGS):
        try:
            import mlflow
            from mlflow.exceptions import MlflowException
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError as error:
            raise MissingExtraError(str(error.name), "mlflow") from error
        if not hasattr(mlflow, "MlflowClient"):  # the folder `mlflow` of a checkout, found in place of the library
            raise MissingExtraError("mlflow", "mlflow")
        before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
        try:
            mlflow.set_tracking_uri(uri)
            with _environment(FIRST_QUESTION, even_if_set=True), _alone_with_a_file(uri):
                client = mlflow.MlflowClient(uri, uri)
                client.search_experiments(max_results=1)
            yield client
        except MlflowException as error:
            if isinstance(error.__context__, ModelfleetError):  # raised by ``GoogleIdToken``, and MLflow has wrapped it
                raise error.__context__ from None
            first_line = str(error).partition("\n")[0]
            if error.error_code in REFUSALS:
                raise ModelfleetError(f"MLflow at {uri} refuses: {first_line}") from error
            raise _unavailable(uri, first_line) from error
        except (SQLAlchemyError, ConnectionError, TimeoutError) as error:
            raise _unavailable(uri, str(error).partition("\n")[0]) from error
        finally:
            mlflow.set_tracking_uri(before)  # None means what the environment says


@contextmanager
def _alone_with_a_file(uri: str) -> Iterator[None]:
    """Let one process at a time open a SQLite file: the first creates its tables, which two cannot do at once."""
    if not uri.startswith(SQLITE):
        yield
        return
    path = Path(uri.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(path.name + ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _unavailable(uri: str, reason: str) -> RegistryUnavailableError:
    return RegistryUnavailableError(
        f"MLflow at {uri} does not answer: {reason}. What serves now goes on serving. Start it (`make up`), or unset "
        "MLFLOW_TRACKING_URI to use a local file, then run the same step again"
    )


@contextmanager
def _environment(values: dict[str, str], *, even_if_set: bool = False) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if even_if_set or before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
