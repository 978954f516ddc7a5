"""Starts a Beam job as a process of its own, by the same command line a person would type."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import logging
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from typing import IO, TYPE_CHECKING

from modelfleet.compiling import NOTE
from modelfleet.engines.dataflow_options import RUNNER
from modelfleet.engines.options import command_line
from modelfleet.errors import EngineUnavailableError, InputError, MissingExtraError, ModelfleetError, error_named

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

LAST_LINES = 20
"""So many lines of the log of a job that ended by an error nobody raised on purpose are told."""

LONGEST_MESSAGE = 500
"""Lines of the log in which the message of an error raised on purpose is looked for."""

CANCEL_SECONDS = 20.0
"""How long a launcher may take to cancel its job in the cloud."""

NOTE_PREFIX = f"{logging.getLevelName(NOTE)} "

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)

_TOLD = re.compile(r"(?P<name>[A-Z]\w*Error): (?P<begin>.*)")


def run_job(
    module: str,
    arguments: Sequence[str] = (),
    options: Mapping[str, str | int | float | bool | list[str] | None] | None = None,
) -> str:
    """Run ``python -m <module>`` to its end, passing its log on line by line.

    Args:
        module: Such as ``beam_jobs.train``.
        arguments: The module's own arguments.
        options: Pipeline options, as ``pipeline_options`` returns them.

    Returns:
        What it wrote to standard output.

    Raises:
        MissingExtraError: Beam is not installed.
        InputError: It ended with 2: the input is wrong.
        EngineUnavailableError: It ended with 4, or was killed: a retry may help.
        ModelfleetError: It ended otherwise. Where the job told what it raised, the error has the same type and
            message; else the message has the last lines of its log.
    """
    if importlib.util.find_spec("apache_beam") is None:
        raise MissingExtraError("apache_beam", "beam")
    command = [sys.executable, "-m", module, *arguments, *command_line(options or {})]
    logger.debug("starting %s", command)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - calls only a function already loaded
    )
    last: deque[str] = deque(maxlen=LONGEST_MESSAGE)
    assert process.stdout is not None and process.stderr is not None
    reader = threading.Thread(target=_pass_on, args=(process.stderr, module, last), daemon=True)
    reader.start()
    try:
        output = process.stdout.read()
        code = process.wait()
    except BaseException:  # Ctrl-C: do not leave the job's process behind
        _end(process, seconds=CANCEL_SECONDS if (options or {}).get("runner") == RUNNER else 0.0)
        raise
    reader.join(timeout=10)
    process.stdout.close()
    process.stderr.close()
    if code == 0:
        return output
    lines = list(last)
    told = _told(lines, code)
    if told is not None:
        raise told
    message = f"`python -m {module}` ended with {code}; its last lines:\n" + "\n".join(lines[-LAST_LINES:])
    if code == InputError.exit_code:
        raise InputError(message)
    if code == EngineUnavailableError.exit_code or code < 0:
        raise EngineUnavailableError(message)
    raise ModelfleetError(message)


def _end(process: subprocess.Popen[str], *, seconds: float) -> None:
    """End a job's process, letting it first cancel what it has submitted where that takes some seconds."""
    if seconds:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _die_with_parent() -> None:
    """Run in the child before its program: a job whose starter was killed must not write into a run begun again."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _told(lines: Sequence[str], code: int) -> ModelfleetError | None:
    """Return the error that a launcher's last lines tell of, as ``beam_jobs.launcher`` writes it."""
    for i in reversed(range(len(lines))):
        found = _TOLD.fullmatch(lines[i])
        error = found and error_named(found["name"], "\n".join([found["begin"], *lines[i + 1 :]]))
        if error is not None and error.exit_code == code:
            return error
    return None


def _pass_on(stream: IO[str], module: str, last: deque[str]) -> None:
    child = logging.getLogger(f"{__name__}.{module}")
    for line in stream:
        last.append(line.rstrip("\n"))
        note = line.startswith(NOTE_PREFIX)  # so begins a line of this level in a launcher's log
        child.log(NOTE if note else logging.INFO, "%s", line.removeprefix(NOTE_PREFIX).rstrip("\n"))
