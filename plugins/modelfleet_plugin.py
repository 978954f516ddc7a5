"""Adds to Airflow's UI: a page with every fleet and what serves it, and a report on every retrain run.

Airflow loads this file in each of its processes, so it imports nothing of the pages; the first request does.
"""

from __future__ import annotations

from typing import Any

from airflow.plugins_manager import AirflowPlugin


class LazyApp:
    """The pages' application, imported on its first request: the login check costs 0.9 s and 40 MB to import."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from modelfleet_airflow.web.app import app

        await app(scope, receive, send)


class ModelfleetPlugin(AirflowPlugin):
    """What Airflow looks for."""

    name = "modelfleet"
    fastapi_apps = [{"app": LazyApp(), "url_prefix": "/modelfleet", "name": "modelfleet"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - Airflow reads plain lists
        {
            "name": "Fleets",  # the navigation cuts names after eight letters
            "href": "/modelfleet/",
            "destination": "nav",
            "url_route": "fleets",
            "nav_top_level": True,
        },
        {
            "name": "Run report",
            "href": "/modelfleet/run/{DAG_ID}/{RUN_ID}",
            "destination": "dag_run",
            "url_route": "run_report",
        },
    ]
