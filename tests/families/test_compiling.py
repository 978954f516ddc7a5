"""Whoever waits for a compilation is told, and nobody waits for the same one twice."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue

import pytest

from modelfleet import compiling
from modelfleet.compiling import NOTE
from modelfleet.engines.launch import run_job

WALK = """
from modelfleet.families.kernels import compiled
stats = compiled.tree_walk().stats
print(sum(stats.cache_hits.values()), sum(stats.cache_misses.values()), stats.cache_path)
"""


class Listener(logging.Handler):
    """Hands over a record as soon as there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.records: SimpleQueue[logging.LogRecord] = SimpleQueue()

    def emit(self, record: logging.LogRecord) -> None:
        self.records.put(record)


def test_a_compilation_that_takes_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling.logger, "propagate", False)  # to handlers that would be told a moment later
    compiling.logger.addHandler(listener := Listener())
    compiling.logger.setLevel(NOTE)
    try:
        with compiling.compiling("the kernels"):
            record = listener.records.get(timeout=60)
    finally:
        compiling.logger.setLevel(logging.NOTSET)
        compiling.logger.removeHandler(listener)
    assert record.levelname == "NOTE"
    assert record.getMessage().startswith("compiling the kernels for this machine")


def test_one_from_the_cache_is_not(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PATIENCE_SECONDS", 3600)
    with caplog.at_level(NOTE), compiling.compiling("the kernels"):
        pass
    assert caplog.records == []


def test_the_command_line_shows_the_note_of_a_job(tmp_path: Path) -> None:
    job = "from beam_jobs.launcher import launch\nfrom modelfleet.compiling import NOTE, logger\n"
    (tmp_path / "job.py").write_text(f"{job}launch(lambda: (logger.info('nothing'), logger.log(NOTE, 'compiling')))\n")
    shown = "from modelfleet.cli.output import show_own_warnings_only as show; show()"
    code = f"{shown}\nfrom modelfleet.engines.launch import run_job\nrun_job('job')"
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=True
    )
    assert done.stderr == "  note: compiling\n"


def test_other_lines_of_a_job_stay_in_its_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talks.py").write_text("import sys\nsys.stderr.write('INFO one\\nNOTE two\\n NOTE three\\n')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with caplog.at_level(logging.INFO):
        run_job("talks")
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.INFO, "INFO one"), (NOTE, "two"), (logging.INFO, " NOTE three"),
    ]  # fmt: skip


def test_a_kernel_is_compiled_once_and_then_read(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", WALK],
            env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        hits, misses, folder = done.stdout.split()
        assert Path(folder).is_relative_to(tmp_path)
        found.append((int(hits), int(misses)))
    assert found == [(0, 1), (1, 0)]
