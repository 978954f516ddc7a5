"""The process a Beam job runs in: its log, its end, and nothing left of it."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from modelfleet_airflow.operators.child_process import ChildProcess, level_of

logger = logging.getLogger("test_child_process")


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-c", program, *map(str, arguments)]


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_for(condition: object, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.02)


def test_exit_codes_pass_through() -> None:
    child = ChildProcess(logger)
    assert child.run(python("")) == 0
    assert child.run(python("raise SystemExit(4)")) == 4
    assert child.run(python("import os; os.kill(os.getpid(), 9)")) == -9


def test_much_output_on_both_pipes_does_not_stand_still(caplog: pytest.LogCaptureFixture) -> None:
    program = (
        "import sys; print('first', file=sys.stderr); print(('x' * 99 + '\\n') * 10000); print('last', file=sys.stderr)"
    )
    with caplog.at_level(logging.INFO):
        assert ChildProcess(logger).run(python(program)) == 0
    assert caplog.messages[-1] == "last"
    assert len(caplog.messages) > 10_000


def test_each_line_keeps_its_own_level(caplog: pytest.LogCaptureFixture) -> None:
    program = "import sys, logging; logging.basicConfig(level=10); logging.info('fine'); logging.warning('odd'); 1/0"
    child = ChildProcess(logger)
    with caplog.at_level(logging.DEBUG):
        assert child.run(python(program)) == 1
    levels = {record.getMessage(): record.levelname for record in caplog.records}
    assert levels["INFO:root:fine"] == "INFO"
    assert levels["WARNING:root:odd"] == "WARNING"
    assert levels["Traceback (most recent call last):"] == "ERROR"
    assert levels["ZeroDivisionError: division by zero"] == "ERROR"
    assert child.last_error() == "ZeroDivisionError: division by zero"


def test_a_level_word_inside_a_message_is_no_level() -> None:
    assert level_of("x" * 80 + " ERROR", logging.INFO) == logging.INFO
    assert level_of("2026-01-01 00:00:00 ERROR reading", logging.INFO) == logging.ERROR


@pytest.mark.parametrize("prefix", ["ERROR:modelfleet.prepare:", "2026-11-22 11:37:32,836 ERROR modelfleet.prepare: "])
def test_the_last_error_is_the_message_without_the_logs_prefix(prefix: str) -> None:
    child = ChildProcess(logger)
    child.run(python("import sys; print(sys.argv[1] + 'sales.csv: no rows'); print('INFO:root:bye')", prefix))
    assert child.last_error() == "sales.csv: no rows"


def test_a_job_that_says_nothing_has_no_last_error() -> None:
    child = ChildProcess(logger)
    child.run(python("raise SystemExit(3)"))
    assert child.last_error() == ""


FAMILY = """
import subprocess, sys, pathlib, signal
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait(300)"])
pathlib.Path(sys.argv[1] + ".tmp").write_text(str(child.pid))
pathlib.Path(sys.argv[1] + ".tmp").rename(sys.argv[1])
child.wait()
"""


@pytest.mark.parametrize("manners", ["polite", "deaf"])
def test_stop_from_a_signal_handler_ends_the_job_and_its_children(
    tmp_path: Path, manners: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from modelfleet_airflow.operators import child_process

    monkeypatch.setattr(child_process, "GRACE_SECONDS", 0.5)
    child = ChildProcess(logger)
    grandchild = tmp_path / "pid"
    before = signal.signal(signal.SIGUSR1, lambda *_: child.stop())
    try:

        def interrupt() -> None:
            wait_for(grandchild.exists)
            os.kill(os.getpid(), signal.SIGUSR1)

        thread = threading.Thread(target=interrupt)
        thread.start()
        code = child.run(python(FAMILY, grandchild, manners))
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert code < 0 or manners == "deaf"
    wait_for(lambda: not alive(int(grandchild.read_text())))


def test_an_exception_in_the_task_ends_the_job(tmp_path: Path) -> None:
    grandchild = tmp_path / "pid"

    def give_up(line: str) -> None:
        raise TimeoutError(line)

    program = FAMILY.replace("child.wait()", "print('ready', flush=True); child.wait()")
    with pytest.raises(TimeoutError, match="ready"):
        ChildProcess(logger).run(python(program, grandchild, "polite"), each_line=give_up)
    wait_for(lambda: not alive(int(grandchild.read_text())))


def test_the_job_dies_with_a_killed_task(tmp_path: Path) -> None:
    import subprocess

    pid_file = tmp_path / "pid"
    job = (
        "import os, sys, pathlib, threading; p = pathlib.Path(sys.argv[1]);"
        " (p.parent / 't').write_text(str(os.getpid())); (p.parent / 't').rename(p); threading.Event().wait(300)"
    )
    task = (
        "import logging, sys; from modelfleet_airflow.operators.child_process import ChildProcess;"
        " ChildProcess(logging.getLogger()).run(sys.argv[1:])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2] / "plugins")}
    process = subprocess.Popen([*python(task), *python(job, pid_file)], env=environment)
    wait_for(pid_file.exists)
    process.kill()
    process.wait()
    wait_for(lambda: not alive(int(pid_file.read_text())))


def test_the_job_does_not_inherit_the_tasks_standard_input() -> None:
    lines: list[str] = []
    ChildProcess(logger).run(python("import os; print(os.readlink('/proc/self/fd/0'))"), each_line=lines.append)
    assert lines == ["/dev/null"]


def test_enough_ends_the_command_early() -> None:
    lines: list[str] = []
    program = "import threading; print('id 7', flush=True); threading.Event().wait(300)"
    assert ChildProcess(logger).run(python(program), each_line=lines.append, enough=lambda: "id 7" in lines) == 0
