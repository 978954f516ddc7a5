"""What all DAGs of a fleet have in common: retries, time limits, one run at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelfleet_airflow.dags.fleets import Fleet

RETRY_DELAY = timedelta(seconds=15)


def dag_settings(fleet: Fleet, kind: str, doc: str | None) -> dict[str, Any]:
    """Return the DAG arguments that follow from a fleet's spec.

    Args:
        fleet: The fleet.
        kind: What the DAG does; the DAG's id is ``<fleet>_<kind>``.
        doc: The DAG file's docstring, shown in the UI.
    """
    resources = fleet.spec.resources
    return {
        "dag_id": f"{fleet.name}_{kind}",
        "doc_md": f"{doc}\n\nFleet **{fleet.name}**, described by `{fleet.path}`.",
        "tags": {"modelfleet", fleet.name, kind},
        # And no start_date: with one, Airflow makes up for the last tick as soon as it first sees the DAG
        "catchup": False,
        # Two runs at once would train against the same champion, and the second would overrule the first unseen
        "max_active_runs": 1,
        "default_args": {
            "retries": resources.retries,
            "retry_delay": RETRY_DELAY,
            "retry_exponential_backoff": True,
            "execution_timeout": timedelta(minutes=resources.timeout_minutes),
        },
    }
