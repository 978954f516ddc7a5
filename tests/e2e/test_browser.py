"""What a person sees in a real browser: Airflow's run, the trigger form, the Fleets page, MLflow's comparison.

Set MODELFLEET_SCREENSHOTS to a folder to keep the pictures; `make screenshots` renews those of the README.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect, sync_playwright

if TYPE_CHECKING:
    from conftest import Played

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.timeout(900)]

# Background services of the browser would look for hosts that a closed network does not have
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-quic"]
WAIT = 60_000


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert found, "a browser is needed: `make setup-test` installs chromium"
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=[*sandbox, "--disable-gpu", *QUIET])
        view = browser.new_page(viewport={"width": 1400, "height": 900})
        view.set_default_timeout(WAIT)
        yield view
        browser.close()


@pytest.fixture(scope="module")
def airflow(page: Page, played: Played) -> str:
    """Log in as a person does; the page then has the session."""
    page.goto(f"{played.platform.airflow_url}/")
    page.get_by_label("Username").fill("admin")
    page.locator("input[type=password]").fill(played.platform.password)
    page.get_by_role("button", name="Sign in").click()
    # The login's own page is below the same address, and a goto while it still leads away is aborted
    page.wait_for_url(lambda url: "/auth/" not in url, timeout=WAIT)
    expect(page.get_by_role("link", name="Dags").first).to_be_visible(timeout=WAIT)
    return played.platform.airflow_url


def keep(page: Page, name: str) -> None:
    folder = os.environ.get("MODELFLEET_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def test_the_refused_run_is_green_with_its_promotion_skipped(page: Page, airflow: str, played: Played) -> None:
    run = played.facts.runs[2].dag_run_id
    page.goto(f"{airflow}/dags/income_retrain/runs/{run}")
    for task in ("gate", "register", "promote", "confirm"):
        expect(page.get_by_text(task, exact=True).first).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("Skipped").first).to_be_visible(timeout=WAIT)
    keep(page, "airflow-run")


def test_the_trigger_form_asks_for_the_parameters_and_starts_a_run(page: Page, airflow: str, played: Played) -> None:
    page.goto(f"{airflow}/dags/income_retrain")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    for name in ("Entities", "Overrides", "Reason", "Engine", "Force"):
        field = dialog.get_by_role("group").filter(has_text=re.compile(f"^{name}"))
        expect(field).to_be_visible(timeout=WAIT)
    keep(page, "airflow-trigger")
    expect(dialog.get_by_role("textbox", name="Editor content")).to_be_attached(timeout=WAIT)  # it loads last
    dialog.get_by_role("button", name="Trigger").last.click()  # nothing has to be filled in
    page.wait_for_url("**/runs/manual__*", timeout=WAIT)
    run = played.airflow.latest_run("income_retrain")
    assert run is not None
    assert run != played.facts.runs[2].dag_run_id
    ended = played.airflow.wait("income_retrain", run, lambda *_: None, 240)
    assert ended.state == "success"
    assert len(played.story.ledger.all()) == 3, "the same data makes the same models: nothing to release"


def test_the_fleets_page_shows_what_serves(page: Page, airflow: str) -> None:
    page.goto(f"{airflow}/plugin/fleets")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_text("income").first).to_be_visible(timeout=WAIT)
    expect(inside.get_by_text("rollback").first).to_be_visible(timeout=WAIT)
    keep(page, "airflow-fleets")


def without_assistant(page: Page) -> None:
    """Close MLflow's chat panel, which opens by itself on the first visit."""
    close = page.get_by_role("button", name="Close").first
    if close.is_visible():
        close.click()


def test_mlflow_compares_the_runs(page: Page, played: Played) -> None:
    import mlflow

    client = mlflow.MlflowClient(tracking_uri=played.platform.mlflow_url)
    experiment = client.get_experiment_by_name("modelfleet/income")
    assert experiment is not None
    logged = client.search_runs([experiment.experiment_id])
    runs = [run.info.run_id for run in logged if run.data.tags["modelfleet.run_id"].startswith("demo_")]
    chosen = ",".join(f'"{run}"' for run in runs)
    page.goto(f'{played.platform.mlflow_url}/#/compare-runs?runs=[{chosen}]&experiments=["{experiment.experiment_id}"]')
    expect(page.get_by_text("Comparing 3 Runs").first).to_be_visible(timeout=WAIT)
    without_assistant(page)
    metrics = page.get_by_text("Metrics", exact=True).last
    metrics.scroll_into_view_if_needed()
    keep(page, "mlflow-compare")


def test_mlflow_shows_the_registered_fleet(page: Page, played: Played) -> None:
    page.goto(f"{played.platform.mlflow_url}/#/models/income")
    expect(page.get_by_text("champion").first).to_be_visible(timeout=WAIT)
    keep(page, "mlflow-versions")


def test_data_docs_open(page: Page, played: Played) -> None:
    page.goto(f"file://{played.story.home.data_docs / 'income' / 'index.html'}")
    expect(page.get_by_text("Data Docs").first).to_be_visible(timeout=WAIT)
    keep(page, "data-docs")
