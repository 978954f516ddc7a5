"""The Python tasks of the serve and rollback DAGs. The imports stand inside, as in ``loop_tasks``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow.sdk import task
from airflow.sdk.exceptions import AirflowSkipException

from modelfleet_airflow.dags.assets import release_asset
from modelfleet_airflow.dags.failures import retried_only_if_it_may_help

if TYPE_CHECKING:
    from modelfleet.engines.serve import ServingJob
    from modelfleet.loop.by_hand import ByHand
    from modelfleet.releases.manifest import Release

logger = logging.getLogger(__name__)


@task.short_circuit
@retried_only_if_it_may_help()
def operate(spec_path: str, *, params: Any = None) -> str:
    """Start, restart, drain or stop the streaming job; return the id of one that shall answer, else nothing.

    On Dataflow this does not wait itself: sensors do, which do not hold a worker for the minutes that it takes.
    """
    from modelfleet.engines import operate as job
    from modelfleet.engines.serve import start_serving
    from modelfleet.home import Home
    from modelfleet.spec.file import load_spec

    spec, home = load_spec(spec_path), Home.from_environment()
    wait = 0.0 if spec.engine == "dataflow" else None
    match params["action"]:
        case "ensure":
            return _told(start_serving(spec, home, wait_seconds=wait))
        case "restart":
            discard = params["discard_state"]
            return _told(job.restart_serving(spec, home, discard_state=discard, wait_seconds=wait))
        case "drain" | "stop" if spec.engine == "dataflow":
            from modelfleet_airflow.operators.dataflow_stop import stop_on_dataflow

            ended = stop_on_dataflow(spec, home, drain=params["action"] == "drain")
            logger.info("ended by Dataflow: %s", ended or "no job was running")
        case "drain":
            logger.info("drained; the next job goes on from: %s", job.drain_serving(spec, home) or "no job was running")
        case "stop":
            logger.info("a job was running and is stopped: %s", job.stop_serving(spec, home))
    return ""


def _told(job: ServingJob) -> str:
    logger.info("streaming job: %s", job)
    return job.job_id


@task
@retried_only_if_it_may_help()
def publish(spec_path: str, *, params: Any = None, dag_run: Any = None, outlet_events: Any = None) -> int:
    """Publish the release that the form asks for and return its generation; skipped where it is so already."""
    from modelfleet.home import Home
    from modelfleet.loop.by_hand import ByHand
    from modelfleet.spec.file import load_spec

    fleet = load_spec(spec_path).fleet
    release = _release(ByHand(Home.from_environment(), fleet, actor=dag_run.triggering_user_name or "airflow"), params)
    if release is None:
        raise AirflowSkipException(f"nothing published: '{params['action']}' is so already")
    logger.info("published %s", release.model_dump_json(indent=1))
    outlet_events[release_asset(fleet)].extra = {
        "generation": release.generation,
        "reason": release.reason,
        "rolled_back_to": release.rolled_back_to,
    }
    return release.generation


def _release(by_hand: ByHand, params: Any) -> Release | None:
    to, note = params["to"], params["reason"] or ""
    match params["action"]:
        case "roll_back":
            return by_hand.roll_back(to=to, note=note)
        case "pin":
            return by_hand.pin(to=to, note=note)
        case "unpin":
            return by_hand.unpin(note=note)
        case mode:
            return by_hand.set_mode(pooled_only=mode == "pooled_only", note=note)
