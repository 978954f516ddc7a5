"""The retrain DAG's Python tasks: each calls one step of the loop on the run's folder, which is all that XCom carries.

The loop is imported inside the functions: Airflow parses the DAG file again for every task.
"""

from __future__ import annotations

import logging
import re
from hashlib import sha256
from typing import Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from modelfleet_airflow.dags.assets import release_asset
from modelfleet_airflow.dags.failures import retried_only_if_it_may_help

logger = logging.getLogger(__name__)


@task
@retried_only_if_it_may_help()
def open_run(spec_path: str, *, params: Any = None, dag_run: Any = None) -> str:
    """Begin the run with the Params of the trigger form and return its folder."""
    from modelfleet.home import Home
    from modelfleet.run import Run
    from modelfleet.spec.file import load_spec

    spec = load_spec(spec_path)
    overrides = dict(params["overrides"] or {})
    if params["engine"] != spec.engine:
        overrides.setdefault("engine", params["engine"])
    started_by = getattr(dag_run.run_type, "value", str(dag_run.run_type))
    run = Run.open(
        Home.from_environment(),
        spec,
        run_id=run_folder_name(dag_run.run_id),
        overrides=overrides,
        entities=params["entities"],
        reason=params["reason"] or started_by,
        force=params["force"],
        actor=dag_run.triggering_user_name or f"airflow:{started_by}",
    )
    logger.info("run %s of fleet '%s' in %s", run.record.run_id, spec.fleet, run.folder)
    if overrides:
        logger.info("overrides: %s", overrides)
    return str(run.folder)


@task
@retried_only_if_it_may_help()
def validate(run_folder: str) -> None:
    """Check the prepared data and quarantine bad entities."""
    from modelfleet.loop.validate import validate as step
    from modelfleet.run import Run

    run = Run.load(run_folder)
    step(run)
    result = run.read("validation")
    logger.info("%s entities quarantined; report: %s", result["quarantined"], result["data_docs"])


@task
@retried_only_if_it_may_help()
def gate(run_folder: str) -> None:
    """Decide for every entity whether its candidate replaces its champion."""
    from modelfleet.loop.gate import gate as step
    from modelfleet.run import Run

    run = Run.load(run_folder)
    step(run)
    result = run.read("gate")
    if result["refused"]:
        logger.warning("the gate refused the run: %s; the champions keep serving", result["reason"])
    else:
        logger.info("promote %s, keep %s, of %s entities", result["promoted"], result["kept"], result["entities"])


@task
@retried_only_if_it_may_help()
def register(run_folder: str) -> None:
    """Log the run to MLflow, with a model version if the gate let something through."""
    from modelfleet.loop.register import register as step
    from modelfleet.run import Run

    run = Run.load(run_folder)
    step(run)
    result = run.read("register")
    logger.info("MLflow run %s, model version %s", result["run_url"], result["model_version"])


@task
@retried_only_if_it_may_help()
def promote(run_folder: str, *, outlet_events: Any = None) -> None:
    """Publish the next release; skipped, and with it what follows, where there is nothing to publish."""
    from modelfleet.loop.promote import promote as step
    from modelfleet.run import Run

    run = Run.load(run_folder)
    result = step(run)
    if result.generation is None:
        # Success would tell everyone who listens to the release asset of a release that does not exist
        why = result.reason or f"nothing published ({result.outcome})"
        raise AirflowSkipException(f"{why}; what served keeps serving")
    outlet_events[release_asset(run.spec.fleet)].extra = {
        "generation": result.generation,
        "reason": "promote",
        "run_id": run.record.run_id,
    }
    logger.info("published generation %s", result.generation)


@task
@retried_only_if_it_may_help()
def confirm(run_folder: str) -> None:
    """Wait until the streaming job serves the release; one that it refuses is rolled back, and the task fails."""
    from modelfleet.loop.confirm import confirm as step
    from modelfleet.run import Run

    result = step(Run.load(run_folder))
    logger.info("%s: %s", result.outcome, result.reason)


@task(trigger_rule="none_failed")
@retried_only_if_it_may_help()
def report(run_folder: str) -> None:
    """Write what the run did into the task's log; runs also where promote and confirm were skipped."""
    from modelfleet.run import Run
    from modelfleet_airflow.dags.report import run_report

    for line in run_report(Run.load(run_folder)):
        logger.info("%s", line)


@task(trigger_rule="none_failed")
@retried_only_if_it_may_help()
def collect(run_folder: str) -> None:
    """Remove the bundles and run folders that the spec's retention does not keep and nothing else needs."""
    from modelfleet.loop.collect import collect as step
    from modelfleet.run import Run

    run = Run.load(run_folder)
    found = step(run.home, run.spec)
    logger.info("%s removed, %s kept, %s bytes of room made", len(found.removed), len(found.kept), found.bytes)


def run_folder_name(run_id: str) -> str:
    """Return the name of the folder of a Dag run: readable, safe, and different for different run ids."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id).strip("-")[:80]
    return safe if safe == run_id else f"{safe}-{sha256(run_id.encode()).hexdigest()[:8]}".lstrip("-")
