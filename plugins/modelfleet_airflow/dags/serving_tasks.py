"""The Python tasks of the serve and rollback DAGs. The imports stand inside, as in ``loop_tasks``."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import task

from modelfleet_airflow.dags.assets import release_asset
from modelfleet_airflow.dags.failures import retried_only_if_it_may_help

logger = logging.getLogger(__name__)


@task
@retried_only_if_it_may_help()
def start_serving(spec_path: str) -> None:
    """Start the streaming job unless one runs already."""
    from modelfleet.engines.serve import start_serving as start
    from modelfleet.home import Home
    from modelfleet.spec.file import load_spec

    logger.info("streaming job: %s", start(load_spec(spec_path), Home.from_environment()))


@task
@retried_only_if_it_may_help()
def roll_back(spec_path: str, *, params: Any = None, dag_run: Any = None, outlet_events: Any = None) -> int:
    """Publish a release that names an earlier bundle and return its generation."""
    from modelfleet.home import Home
    from modelfleet.loop.rollback import roll_back as go_back
    from modelfleet.spec.file import load_spec

    fleet = load_spec(spec_path).fleet
    actor = dag_run.triggering_user_name or "airflow"
    release = go_back(Home.from_environment(), fleet, to=params["to"], actor=actor, note=params["reason"] or "")
    logger.info("generation %s serves the bundle of generation %s again", release.generation, release.rolled_back_to)
    outlet_events[release_asset(fleet)].extra = {
        "generation": release.generation,
        "reason": "rollback",
        "rolled_back_to": release.rolled_back_to,
    }
    return release.generation
