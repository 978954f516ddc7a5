"""A skipped test hides a missing piece: a run with one has failed, whatever else passed. And what several areas use."""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from modelfleet.home import Home

if TYPE_CHECKING:
    from tests.kafka.broker import Broker

# A busy machine makes no example slow; and that a fixture is made once for all of them is meant
settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
settings.load_profile("busy")

REPOSITORY = Path(__file__).resolve().parents[1]

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _skipped:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _skipped:
        terminalreporter.write_line(f"failed: {len(_skipped)} tests were skipped, such as {_skipped[0]}", red=True)


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Undo what a command line called within this process does to the log, which later tests read."""
    log = logging.getLogger("modelfleet")
    before = log.propagate, log.level, list(log.handlers)
    yield
    log.propagate, log.level, log.handlers = before


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A running Kafka broker on free ports; a test that kills it starts it again."""
    from tests.kafka.broker import Broker

    subprocess.run([REPOSITORY / "infra" / "kafka" / "build.sh"], check=True)
    broker = Broker(Home(tmp_path_factory.mktemp("kafka")))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
