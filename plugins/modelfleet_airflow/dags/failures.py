"""Which failures Airflow tries again: the error's type decides, never its text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from modelfleet.errors import ModelfleetError, RetryableError


@contextmanager
def retried_only_if_it_may_help() -> Iterator[None]:
    """Fail the task for good on an error that a second try would only repeat; also usable as a decorator.

    A ``RetryableError`` passes unchanged, and so does anything modelfleet did not raise on purpose: Airflow retries
    both as often as the spec says.

    Raises:
        AirflowFailException: With the error's own message.
    """
    from airflow.sdk.exceptions import AirflowFailException

    try:
        yield
    except RetryableError:
        raise
    except ModelfleetError as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
