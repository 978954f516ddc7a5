"""What every launcher does alike: set up the log, do the work, and end as the error's type says."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable

from modelfleet.errors import ModelfleetError, error_named, storage_error

_RAISED_IN_A_WORKER = re.compile(
    r"^modelfleet\.errors\.(?P<name>\w+): (?P<message>.+?)(?: \[while running|\Z)", re.MULTILINE | re.DOTALL
)
_STORAGE_IN_A_WORKER = re.compile(
    r"^\w*Error: \[Errno (?P<number>\d+)\] (?P<reason>[^:\n]+)(?:: '(?P<file>[^'\n]+)')?", re.MULTILINE
)


def launch(work: Callable[[], None]) -> int:
    """Do a launcher's work; return its exit code.

    An error raised on purpose, here or on a worker, ends as one message on standard error, its last lines, without a
    traceback: ``DataError: sales.csv: holds no rows``. ``modelfleet.engines.launch`` and Airflow's operator find it
    there. Any other error keeps its traceback.

    Args:
        work: Builds the pipeline and runs it.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    try:
        work()
    except Exception as error:
        meant = raised_on_purpose(error)
        if meant is None:
            raise
        return tell(meant)
    return 0


def tell(error: ModelfleetError) -> int:
    """Write an error as the last of a launcher's log; return its exit code."""
    sys.stderr.write(f"{type(error).__name__}: {error}\n")
    return error.exit_code


def raised_on_purpose(error: Exception) -> ModelfleetError | None:
    """Return the error that tells the user what is wrong; None where this one is a fault of the program.

    Args:
        error: What was raised here; Beam makes a ``RuntimeError`` with a traceback's text of what a worker raised.
    """
    if isinstance(error, ModelfleetError):
        return error
    if isinstance(error, OSError):
        return storage_error(error)
    text = str(error)
    for found in reversed(list(_RAISED_IN_A_WORKER.finditer(text))):
        return error_named(found["name"], found["message"].strip())
    for found in reversed(list(_STORAGE_IN_A_WORKER.finditer(text))):
        return storage_error(OSError(int(found["number"]), found["reason"], found["file"]))
    return None
