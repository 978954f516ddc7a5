"""The plugin's pages, served by Airflow's own API server application."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from modelfleet.home import Home
from modelfleet_airflow.dags.loop_tasks import run_folder_name

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

RUN_ID = "manual__2026-11-22T07:40:00+00:00"


@pytest.fixture(scope="module")
def api(airflow_home: Path, airflow_db: None) -> Iterator[TestClient]:
    from airflow.api_fastapi.app import create_app
    from fastapi.testclient import TestClient

    with TestClient(create_app(apps="core"), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def token(api: TestClient) -> dict[str, str]:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    made = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="admin", role="ADMIN"))
    return {"Authorization": f"Bearer {made}"}


@pytest.fixture
def home(airflow_home: Path) -> Home:
    return Home(airflow_home / "home")


@pytest.fixture
def run(airflow_home: Path, home: Home) -> Any:
    """A finished run of the fleet 'shops' whose texts try to be HTML."""
    from modelfleet.gating.decision import Decisions, EntityDecision, Outcome
    from modelfleet.run import Run
    from modelfleet.spec.file import load_spec

    spec = load_spec(airflow_home / "fleets" / "shops.yaml")
    run = Run.open(home, spec, run_id=run_folder_name(RUN_ID), reason="<script>alert(1)</script>", actor="ann")
    decision = EntityDecision("<b>north</b>", "entity", Outcome.PROMOTE, "it is better")
    table = Decisions(entities=(decision,), pooled=None, refused=False, reason="").to_table()
    pq.write_table(table, run.folder / "decisions.parquet")
    run.write(
        "gate",
        {
            "refused": False,
            "reason": "",
            "promoted": 1,
            "kept": 0,
            "pooled": 0,
            "retired": 0,
            "undecidable": 0,
            "entities": 1,
            "intent": "change",
        },
    )
    return run


def test_airflow_loads_the_plugin_and_nothing_else_of_the_folder() -> None:
    from airflow import plugins_manager

    assert plugins_manager.get_import_errors() == {}
    apps, _ = plugins_manager.get_fastapi_plugins()
    assert "modelfleet" in {app["name"] for app in apps}


@pytest.mark.parametrize("path", ["/modelfleet/", f"/modelfleet/run/shops_retrain/{RUN_ID}"])
def test_no_page_without_a_login(api: TestClient, path: str) -> None:
    assert api.get(path).status_code == 401
    assert api.get(path, headers={"Authorization": "Bearer wrong"}).status_code in {401, 403}


def test_the_overview_shows_every_fleet(api: TestClient, token: dict[str, str]) -> None:
    page = api.get("/modelfleet/", headers=token)
    assert page.status_code == 200
    for fleet in ("shops", "clock", "events", "byhand"):
        assert f"<h2>{fleet}</h2>" in page.text
    assert "No release yet: trigger the DAG <code>clock_retrain</code>" in page.text


def test_the_overview_shows_releases_and_live_processes(api: TestClient, token: dict[str, str], home: Home) -> None:
    from modelfleet.releases.ledger import Ledger
    from modelfleet.releases.manifest import BundleRef
    from modelfleet.serving.lease import Lease, LeaseFolder, Refusal

    folders = home.fleet("events")
    Ledger(folders.releases).publish(
        fleet="events", bundle=BundleRef(uri="/nowhere", sha256="0" * 64), reason="promote", actor="ann", note="first"
    )
    now = datetime.now(UTC)
    lease = Lease(
        process="host-1",
        fleet="events",
        job="job",
        host="host",
        pid=1,
        serving=1,
        serving_since=now,
        refused=(Refusal(generation=7, reason="hash differs"),),
        renewed_at=now,
        expires_at=now + timedelta(minutes=5),
    )
    LeaseFolder(folders.leases).write(lease)
    text = api.get("/modelfleet/", headers=token).text
    for part in ("generation 1</span>", "host-1", "7: hash differs", "ann", "first", "bundle removed"):
        assert part in text
    assert "pinned" not in text

    Ledger(folders.releases).publish(
        bundle=BundleRef(uri="/nowhere", sha256="0" * 64), reason="pin", pinned=True, actor="bob", note="since noon"
    )
    Ledger(folders.releases).publish(bundle=BundleRef(uri="/nowhere", sha256="0" * 64), reason="mode", pooled_only=True)
    text = api.get("/modelfleet/", headers=token).text
    for part in (
        "pinned by &#39;bob&#39;",
        "because: since noon",
        "The pooled model answers",
        "mode, pinned, pooled only",
    ):
        assert part in text


def test_the_overview_tells_of_a_broken_spec(
    api: TestClient, token: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad.yaml").write_text("fleet: bad\n")
    monkeypatch.setenv("MODELFLEET_FLEETS", str(tmp_path))
    assert "bad.yaml: entity: is required" in api.get("/modelfleet/", headers=token).text


def test_the_run_report_shows_the_decisions_as_text(api: TestClient, token: dict[str, str], run: Any) -> None:
    page = api.get(f"/modelfleet/run/shops_retrain/{RUN_ID}", headers=token)
    assert page.status_code == 200
    assert "1 promoted" in page.text
    assert "it is better" in page.text
    assert "&lt;b&gt;north&lt;/b&gt;" in page.text
    assert "<script>alert" not in page.text


@pytest.mark.parametrize(
    "path",
    ["shops_retrain/other", "nobody_retrain/x", "shops_serve/x", "..%2F..%2Fshops_retrain/x", "shops_retrain/..%2F.."],
)
def test_what_is_no_retrain_run_is_not_found(api: TestClient, token: dict[str, str], path: str) -> None:
    assert api.get(f"/modelfleet/run/{path}", headers=token).status_code == 404


def test_the_views_stand_where_the_ui_looks(api: TestClient, token: dict[str, str]) -> None:
    plugins = api.get("/api/v2/plugins", headers=token).json()["plugins"]
    ours = next(plugin for plugin in plugins if plugin["name"] == "modelfleet")
    assert {view["destination"]: view["href"] for view in ours["external_views"]} == {
        "nav": "/modelfleet/",
        "dag_run": "/modelfleet/run/{DAG_ID}/{RUN_ID}",
    }
    assert json.dumps(ours)
