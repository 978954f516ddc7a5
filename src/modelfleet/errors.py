"""Every error modelfleet raises on purpose.

The tree (the number is the exit code of the command line)::

    ModelfleetError                    1
    ├── InputError                     2  the user's input or configuration is wrong
    │   ├── SpecError                     a fleet spec: file, field, value, nearest valid one
    │   ├── DataError                     a data file or its contents
    │   ├── StorageError                  a folder cannot be written, or the disk is full
    │   │   └── StoreRefusedError             a bucket is not there, or is closed to this account
    │   ├── LedgerEmptyError              something needs a release and there is none yet
    │   ├── CredentialsError              a cloud wants to know who calls, and nobody is named or trusted
    │   ├── CloudSetupError               a project, region, bucket or API of a cloud is not as the spec says
    │   └── MissingExtraError             a library of an optional extra is not installed
    ├── GateRefusedError               3  the gate let nothing through
    ├── PinnedError                    3  the fleet is pinned: nothing is promoted until somebody unpins it
    ├── RetryableError                 4  an outside system failed and a retry may help
    │   ├── RegistryUnavailableError      MLflow does not answer
    │   ├── EngineUnavailableError        the job server, or the job, does not answer
    │   ├── DataUnavailableError          the service that keeps the data does not answer
    │   ├── StoreUnavailableError         a bucket does not answer
    │   ├── CopyError                     a file that went by a bucket is missing or damaged
    │   ├── SigningUnavailableError       the key service that signs releases does not answer
    │   ├── RunBusyError                  another process works on this run
    │   ├── FleetBusyError                another process publishes, or removes, bundles of this fleet
    │   └── ReleaseConflictError          somebody else published this generation first
    ├── BundleError                    1  a bundle is truncated, tampered with or does not fit
    ├── ReleaseError                   1  a release manifest is unreadable or names nothing
    │   └── SignatureError                it is not signed by a key that is believed here, or was altered since
    └── StepError                      1  a step of the loop was called before the one it needs

Retryable is a type: ``except RetryableError`` is the whole retry policy.
"""

from __future__ import annotations

import errno
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


class StorageError(InputError):
    """A file or folder cannot be read or written: no permission, no space, or a file where a folder should be."""


class StoreRefusedError(StorageError, PermissionError):
    """A bucket is not there, or is closed to this account."""


class LedgerEmptyError(InputError):
    """The fleet has no release yet."""

    def __init__(self, fleet: str) -> None:
        super().__init__(f"fleet '{fleet}' has no release yet: run `modelfleet run fleets/{fleet}.yaml` first")
        self.fleet = fleet


class CredentialsError(InputError):
    """No credentials of a cloud were found, or they are refused; the message says how to get some."""


class CloudSetupError(InputError):
    """What the spec names of a cloud is not there, not switched on, or closed to the caller."""


class MissingExtraError(InputError):
    """A library of an optional extra is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"'{library}' is not installed: pip install 'modelfleet[{extra}]'")
        self.library = library
        self.extra = extra


class GateRefusedError(ModelfleetError):
    """The gate let nothing through; the champions keep serving."""

    exit_code: ClassVar[int] = 3


class PinnedError(ModelfleetError):
    """The fleet is pinned, so nothing was promoted; trying again helps only once somebody has unpinned it."""

    exit_code: ClassVar[int] = 3


class RetryableError(ModelfleetError):
    """An outside system failed; the same call may succeed later."""

    exit_code: ClassVar[int] = 4


class RegistryUnavailableError(RetryableError):
    """The model registry (MLflow) does not answer."""


class EngineUnavailableError(RetryableError):
    """The engine (job server, cluster, cloud) or the job on it does not answer."""


class DataUnavailableError(RetryableError):
    """The service that keeps the data does not answer."""


class StoreUnavailableError(RetryableError, OSError):
    """A bucket does not answer."""


class CopyError(RetryableError):
    """A file on its way between a step and its workers, by a bucket, is missing or is not what was written."""


class SigningUnavailableError(RetryableError):
    """The key service that signs releases does not answer; nothing was published."""


class RunBusyError(RetryableError):
    """Another process works on the same run just now."""


class FleetBusyError(RetryableError):
    """Another process removes bundles of this fleet from a bucket just now, or publishes some."""


class ReleaseConflictError(RetryableError):
    """Another promoter published this generation first; the ledger is unharmed."""


class NoticeError(RetryableError):
    """A notice of a release was not sent. The release stands: serving jobs find it when they look."""


class BundleError(ModelfleetError):
    """A bundle is truncated, tampered with, or does not fit this version; it must not serve."""


class ReleaseError(ModelfleetError):
    """A release manifest is unreadable, or names a bundle that is not there."""


class SignatureError(ReleaseError):
    """A release is not signed by a key that is believed here, or is not what that key signed; it must not serve."""


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


_STORAGE_ADVICE = {
    errno.EACCES: "give this user access to it, or set MODELFLEET_HOME to a folder of yours",
    errno.EPERM: "give this user access to it, or set MODELFLEET_HOME to a folder of yours",
    errno.EROFS: "set MODELFLEET_HOME to a folder that can be written",
    errno.ENOTDIR: "a file is where a folder should be: move it away, or set MODELFLEET_HOME to another folder",
    errno.EISDIR: "a folder is where a file should be: move it away",
    errno.ENOSPC: "free some space, then run the same again",
    errno.EDQUOT: "free some space, then run the same again",
}
"""What to do about each way in which storage fails; any other ``OSError`` is a fault of the program."""


def storage_error(error: OSError) -> StorageError | None:
    """Return what the operating system's refusal means to the user; None where it is not about storage."""
    if error.errno not in _STORAGE_ADVICE:
        return None
    where = f"{error.filename}: " if error.filename is not None else ""
    return StorageError(f"{where}{error.strerror}; {_STORAGE_ADVICE[error.errno]}")


def error_named(name: str, message: str) -> ModelfleetError | None:
    """Return the error another process told of by its type's name, such as ``DataError``.

    Args:
        name: Name of a type in this module.
        message: Its whole message.

    Returns:
        None where there is no such type.
    """
    kind = globals().get(name)
    if not (isinstance(kind, type) and issubclass(kind, ModelfleetError)):
        return None
    error = kind.__new__(kind, message)  # past constructors that make the message themselves
    error.args = (message,)
    return error
