"""The routes of the pages: only for users who are logged in, and only fleets whose DAGs they may see."""

from __future__ import annotations

from pathlib import Path

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from modelfleet_airflow.web.pages import fleet_pages, run_page

app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


@app.get("/", response_class=HTMLResponse)
def fleets(user: GetUserDep) -> str:
    """Every fleet: what serves, which processes, the last releases."""

    def visible(fleet: str) -> bool:
        return get_auth_manager().is_authorized_dag(method="GET", details=DagDetails(id=f"{fleet}_retrain"), user=user)

    pages, errors = fleet_pages(visible)
    return templates.get_template("fleets.html").render(fleets=pages, errors=errors)


@app.get("/run/{dag_id}/{run_id}", response_class=HTMLResponse, dependencies=[Depends(requires_access_dag("GET"))])
def run(dag_id: str, run_id: str) -> str:
    """What one run of a retrain DAG decided, entity by entity."""
    page = run_page(dag_id, run_id)
    if page is None:
        raise HTTPException(404, f"{dag_id}, {run_id}: no fleet has such a retrain run; it may not have begun yet")
    return templates.get_template("run.html").render(page=page)
