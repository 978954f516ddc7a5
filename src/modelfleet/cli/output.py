"""How commands speak: results on stdout, progress on stderr, JSON when asked, an exit code for every kind of error."""

from __future__ import annotations

import functools
import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer
from rich.console import Console

from modelfleet.compiling import NOTE
from modelfleet.errors import GateRefusedError, ModelfleetError, PinnedError, storage_error

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]

FILE_WIDTH = 160

out = Console(
    highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else FILE_WIDTH
)
"""Results; as wide as the terminal, and wide enough for every table in a file or a pipe."""

progress = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and errors; plain lines where it is not a terminal."""

P = ParamSpec("P")
R = TypeVar("R")


def print_json(document: Any) -> None:
    """Write a document to stdout as JSON; at most one per command."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")
    sys.stdout.flush()  # a command may go on for days, such as `serve`, and whoever reads it waits for this


class _Warnings(logging.Handler):
    """Shows warnings and notes of modelfleet between the lines of progress."""

    def emit(self, record: logging.LogRecord) -> None:
        progress.print(f"  {record.levelname.lower()}: {record.getMessage()}", markup=False)


def show_own_warnings_only() -> None:
    """Let modelfleet's warnings through to the terminal, and of the libraries below it nothing but errors.

    A person can act on "column 'day' is ignored", not on what a database did to its tables.
    """
    own = logging.getLogger("modelfleet")
    if not own.handlers:
        own.addHandler(_Warnings(NOTE))
        own.setLevel(NOTE)
        own.propagate = False
    logging.basicConfig(level=logging.ERROR, format="%(name)s: %(message)s")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an error raised on purpose into its message and its exit code; other errors keep their traceback.

    With ``--json`` the error stands on stdout too, as ``{"error": {"type", "message", "exit_code"}}``, unless the
    gate or a pin let nothing through: what was decided is the command's result, and printed as such.
    """

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        show_own_warnings_only()
        try:
            return command(*args, **kwargs)
        except (GateRefusedError, PinnedError) as error:  # the result is out
            _end(error, as_json=False)
        except ModelfleetError as error:
            _end(error, as_json=bool(kwargs.get("as_json")))
        except OSError as error:
            storage = storage_error(error)
            if storage is None:
                raise
            _end(storage, as_json=bool(kwargs.get("as_json")))

    return wrapper


def _end(error: ModelfleetError, *, as_json: bool) -> NoReturn:
    if as_json:
        print_json({"error": {"type": type(error).__name__, "message": str(error), "exit_code": error.exit_code}})
    progress.print(f"[bold red]{type(error).__name__}[/]: ", end="")
    progress.print(str(error), markup=False)
    raise typer.Exit(error.exit_code) from error
