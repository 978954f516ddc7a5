"""Every error modelfleet raises on purpose.

The tree (the number is the exit code of the command line)::

    ModelfleetError                    1
    ├── InputError                     2  the user's input or configuration is wrong
    │   ├── SpecError                     a fleet spec: file, field, value, nearest valid one
    │   ├── DataError                     a data file or its contents
    │   ├── LedgerEmptyError              something needs a release and there is none yet
    │   └── MissingExtraError             a library of an optional extra is not installed
    ├── GateRefusedError               3  the gate let nothing through
    ├── RetryableError                 4  an outside system failed and a retry may help
    │   ├── RegistryUnavailableError      MLflow does not answer
    │   ├── EngineUnavailableError        the job server, or the job, does not answer
    │   └── ReleaseConflictError          somebody else published this generation first
    ├── BundleError                    1  a bundle is truncated, tampered with or does not fit
    ├── ReleaseError                   1  a release manifest is unreadable or names nothing
    └── StepError                      1  a step of the loop was called before the one it needs

Retryable is a type: ``except RetryableError`` is the whole retry policy.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class ModelfleetError(Exception):
    """Base of every error raised on purpose; its message says what failed and what to do next."""

    exit_code: ClassVar[int] = 1


class InputError(ModelfleetError):
    """The user's input or configuration is wrong; running again without a change will not help."""

    exit_code: ClassVar[int] = 2


class SpecError(InputError):
    """A fleet spec is wrong. The message names the file, the field, the value and the nearest valid one."""


class DataError(InputError):
    """A data file is missing, is not what it says, or holds nothing that can be used."""


class LedgerEmptyError(InputError):
    """The fleet has no release yet."""

    def __init__(self, fleet: str) -> None:
        super().__init__(f"fleet '{fleet}' has no release yet: run `modelfleet run fleets/{fleet}.yaml` first")
        self.fleet = fleet


class MissingExtraError(InputError):
    """A library of an optional extra is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"'{library}' is not installed: pip install 'modelfleet[{extra}]'")
        self.library = library
        self.extra = extra


class GateRefusedError(ModelfleetError):
    """The gate let nothing through; the champions keep serving."""

    exit_code: ClassVar[int] = 3


class RetryableError(ModelfleetError):
    """An outside system failed; the same call may succeed later."""

    exit_code: ClassVar[int] = 4


class RegistryUnavailableError(RetryableError):
    """The model registry (MLflow) does not answer."""


class EngineUnavailableError(RetryableError):
    """The engine (job server, cluster, cloud) or the job on it does not answer."""


class ReleaseConflictError(RetryableError):
    """Another promoter published this generation first; the ledger is unharmed."""


class BundleError(ModelfleetError):
    """A bundle is truncated, tampered with, or does not fit this version; it must not serve."""


class ReleaseError(ModelfleetError):
    """A release manifest is unreadable, or names a bundle that is not there."""


class StepError(ModelfleetError):
    """A step of the loop was called before the step whose result it needs."""


def nearest(wrong: str, valid: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the valid name closest to ``wrong``, or the list of valid names.

    Args:
        wrong: What the user wrote.
        valid: The names that would have been accepted.
    """
    names = sorted(valid)
    close = get_close_matches(wrong, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; valid are: {', '.join(names)}" if names else ""
