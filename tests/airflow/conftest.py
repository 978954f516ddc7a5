"""One Airflow for all tests of this folder: its own home and database, set before anything imports Airflow."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow.dag_processing.dagbag import DagBag

ROOT = Path(__file__).resolve().parents[2]
_HOME = Path(tempfile.mkdtemp(prefix="modelfleet-airflow-"))
os.environ.update(
    AIRFLOW_HOME=str(_HOME / "airflow"),
    AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
    AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__API_AUTH__JWT_SECRET=secrets.token_hex(64),
    AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{_HOME}/airflow.db",
)

SPEC = """\
fleet: {fleet}
entity: shop
task: regression
data:
  source: sales.csv
  target: amount
model:
  family: linear
  min_rows: 10
schedule:
  cron: {cron}
  on_new_data: {on_new_data}
serving:
  confirm_timeout_seconds: 5
resources:
  shards: 2
  retries: 2
  timeout_minutes: 5
"""


THIRD_PARTY = (
    # Airflow 3.3 reads .airflowignore with a name that pathspec 1.0 deprecates
    "ignore:GitWildMatchPattern:DeprecationWarning",
)
"""Warnings of others' code, which only they can mend."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker("airflow")
            for warning in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session")
def airflow_home() -> Iterator[Path]:
    """The folder everything of these tests lies in: fleet specs, modelfleet's home, Airflow's home and database."""
    fleets = _HOME / "fleets"
    fleets.mkdir()
    (fleets / "shops.yaml").write_text(SPEC.format(fleet="shops", cron="0 3 * * 1", on_new_data="true"))
    days = 'schedule:\n  score: {cron: "0 6 * * *", input: "days/{date}.csv", output: "scored/{date}.parquet"}\n'
    shops = fleets / "shops.yaml"
    shops.write_text(shops.read_text().replace("schedule:\n", days))
    (fleets / "clock.yaml").write_text(SPEC.format(fleet="clock", cron="0 4 * * *", on_new_data="false"))
    (fleets / "events.yaml").write_text(SPEC.format(fleet="events", cron="null", on_new_data="true"))
    (fleets / "byhand.yaml").write_text(SPEC.format(fleet="byhand", cron="null", on_new_data="false"))
    yield _HOME
    shutil.rmtree(_HOME, ignore_errors=True)


@pytest.fixture(autouse=True)
def modelfleet_environment(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELFLEET_FLEETS", str(airflow_home / "fleets"))
    monkeypatch.setenv("MODELFLEET_HOME", str(airflow_home / "home"))
    monkeypatch.setattr("modelfleet_airflow.dags.settings.RETRY_DELAY", timedelta(0))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


@pytest.fixture(scope="session")
def dagbag(airflow_home: Path) -> DagBag:
    from airflow.dag_processing.dagbag import DagBag

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELFLEET_FLEETS", str(airflow_home / "fleets"))
        patch.setattr("modelfleet_airflow.dags.settings.RETRY_DELAY", timedelta(0))
        return DagBag(dag_folder=str(ROOT / "dags"))


@pytest.fixture(scope="session")
def airflow_db(airflow_home: Path) -> None:
    """The migrated database, with the DAG folder known to it."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()
