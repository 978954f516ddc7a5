"""Starts a Beam job as a process of its own, by the same command line a person would type."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import deque
from typing import IO, TYPE_CHECKING

from modelfleet.engines.options import command_line
from modelfleet.errors import EngineUnavailableError, InputError, ModelfleetError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger(__name__)

LAST_LINES = 20


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
        InputError: It ended with 2: the input is wrong. The message has its last lines.
        EngineUnavailableError: It ended with 4, or was killed: a retry may help.
        ModelfleetError: It ended otherwise.
    """
    command = [sys.executable, "-m", module, *arguments, *command_line(options or {})]
    logger.debug("starting %s", command)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace")
    last: deque[str] = deque(maxlen=LAST_LINES)
    assert process.stdout is not None and process.stderr is not None
    reader = threading.Thread(target=_pass_on, args=(process.stderr, module, last), daemon=True)
    reader.start()
    try:
        output = process.stdout.read()
        code = process.wait()
    except BaseException:  # Ctrl-C: do not leave the job's process behind
        process.kill()
        process.wait()
        raise
    reader.join(timeout=10)
    process.stdout.close()
    process.stderr.close()
    if code == 0:
        return output
    message = f"`python -m {module}` ended with {code}; its last lines:\n" + "\n".join(last)
    if code == InputError.exit_code:
        raise InputError(message)
    if code == EngineUnavailableError.exit_code or code < 0:
        raise EngineUnavailableError(message)
    raise ModelfleetError(message)


def _pass_on(stream: IO[str], module: str, last: deque[str]) -> None:
    child = logging.getLogger(f"{__name__}.{module}")
    for line in stream:
        last.append(line.rstrip("\n"))
        child.info("%s", line.rstrip("\n"))
