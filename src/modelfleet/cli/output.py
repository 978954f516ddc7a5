"""How commands speak: results on stdout, progress on stderr, JSON when asked, an exit code for every kind of error."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

import typer
from rich.console import Console

from modelfleet.errors import ModelfleetError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]

out = Console(highlight=False, soft_wrap=True)
"""Results."""

progress = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and errors; plain lines where it is not a terminal."""

P = ParamSpec("P")
R = TypeVar("R")


def print_json(document: Any) -> None:
    """Write a document to stdout as JSON."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n")


def reports_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Turn an error raised on purpose into its message and its exit code; other errors keep their traceback."""

    @functools.wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ModelfleetError as error:
            kind = type(error).__name__
            progress.print(f"[bold red]{kind}[/]: ", end="")
            progress.print(str(error), markup=False)
            raise typer.Exit(error.exit_code) from error

    return wrapper
