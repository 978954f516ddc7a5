"""A child process whose log goes to the task's log, and which never outlives the task.

Three things the Beam provider's own way of running a command gets wrong, and this one does not: it reads one pipe to
its end before it looks at the other (a job that prints enough stands still for ever), it leaves the job running when
the task times out, and the job inherits the socket by which the task talks to its supervisor (so the supervisor waits
a minute for the dead task).
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence

GRACE_SECONDS = 5.0
"""How long a job may take to end when asked, before it is killed."""

PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_LEVEL = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b")
_LEVEL_WITHIN = 60  # a level further into a line is a word of its message
_LOGGED_ERROR = re.compile(r"^([\d-]+ [\d:.,]+ )?(ERROR|CRITICAL)[: ][\w.]+: ?")
_EXCEPTION = re.compile(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning)\b: ?\S")


class ChildProcess:
    """One command at a time, its output merged and logged line by line.

    Args:
        log: Where the lines go, each at the level it names itself.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._group: int | None = None
        self._killer: threading.Timer | None = None
        self._tail: deque[str] = deque(maxlen=200)

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        each_line: Callable[[str], None] | None = None,
        enough: Callable[[], bool] | None = None,
    ) -> int:
        """Run a command and return its exit code, negative for a signal; every process it started is gone by then.

        Args:
            command: Program and arguments.
            environment: Added to this process's own.
            each_line: Called with every line, without its end.
            enough: Asked after every line; True ends the command early, with exit code 0.
        """
        self._log.info("running %s", " ".join(command))
        self._tail.clear()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,  # not the task's own: that is the supervisor's socket
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,  # one pipe, so that no second one can fill up
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,  # a group of its own, so that its children can be ended with it
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - calls only a function already loaded
        )
        self._group = process.pid
        try:
            level = logging.INFO
            assert process.stdout is not None
            for raw in process.stdout:
                line = raw.decode("utf-8", errors="replace").rstrip()
                level = level_of(line, level)
                self._log.log(level, "%s", line)
                self._tail.append(line)
                if each_line:
                    each_line(line)
                if enough and enough():
                    return 0
            return process.wait()
        finally:
            self._end(process)

    def stop(self) -> None:
        """Ask the command and all it started to end, and kill them a little later; returns at once.

        Safe in a signal handler, also in the thread that is inside ``run``: it takes no lock and waits for nothing.
        """
        if self._group is None:
            return
        _signal_group(self._group, signal.SIGTERM)
        if self._killer is None:
            self._killer = threading.Timer(GRACE_SECONDS, _signal_group, (self._group, signal.SIGKILL))
            self._killer.daemon = True
            self._killer.start()

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        _signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._log.warning("process %s did not end within %s s and is killed", process.pid, GRACE_SECONDS)
        # Even where the command itself has ended: a child of it may have stayed
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        self._group = None
        if self._killer is not None:
            self._killer.cancel()
            self._killer = None
        assert process.stdout is not None
        process.stdout.close()

    def last_error(self) -> str:
        """Return the message of the last exception or error the log tells of, else its last line, else empty."""
        lines = [line for line in self._tail if line.strip()]
        errors = [line for line in lines if _EXCEPTION.match(line) or _LOGGED_ERROR.match(line)]
        return _LOGGED_ERROR.sub("", (errors or lines or [""])[-1])


def level_of(line: str, before: int) -> int:
    """Return the logging level a line of a log names, or that of the line before for one that names none.

    Args:
        line: Such as ``INFO:apache_beam.runners:...``; a traceback is an error although it names no level.
        before: The level of the line before; continuation lines belong to it.
    """
    found = _LEVEL.search(line[:_LEVEL_WITHIN])
    if found:
        return logging.getLevelNamesMapping()[found.group(1)]
    if line.startswith("Traceback (most recent call last)") or _EXCEPTION.match(line):
        return logging.ERROR
    return before


def _die_with_parent() -> None:
    """Run in the child before its program: without it, a killed task would leave its job behind."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal_group(leader: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # all of it is gone already
        os.killpg(leader, number)
