"""The platform, started once, with the demo's story played on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples.demo.airflow_client import AirflowClient
from examples.demo.report import DemoFacts
from examples.demo.story import Story
from infra.local.platform import Platform


@dataclass(frozen=True)
class Played:
    """A platform that is still up, after the demo's story."""

    platform: Platform
    airflow: AirflowClient
    story: Story
    facts: DemoFacts
    lines: list[str]


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    home: Path = tmp_path_factory.mktemp("home")
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        print(line)  # noqa: T201 - shown by pytest when a test fails

    with Platform(home, say) as platform:
        airflow = AirflowClient(platform.airflow_url, "admin", platform.password)
        story = Story(airflow, home, say)
        story.play()
        yield Played(platform, airflow, story, story.facts({}), lines)
        airflow.close()
