"""The Params of each DAG: what the trigger form asks, and what REST accepts as ``conf``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args

from airflow.sdk import Param

from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.schedule import DATE

if TYPE_CHECKING:
    from modelfleet_airflow.dags.fleets import Fleet

ENGINES: list[str] = list(get_args(FleetSpec.model_fields["engine"].annotation))


def _reason() -> Param:
    # null is allowed where nothing need be said: the form takes an empty field of another type for a missing one
    return Param(None, type=["null", "string"], title="Reason", description="Why; recorded with the run and in MLflow.")


def retrain_params(fleet: Fleet) -> dict[str, Param]:
    """Return the Params of a retrain DAG."""
    return {
        "entities": Param(
            None,
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            title="Entities",
            description="Train only these, one per line. Empty means all; the champions of the others stay.",
        ),
        "overrides": Param(
            None,
            type=["null", "object"],
            title="Overrides",
            description="A JSON merge patch on the spec for this run only, such as "
            '{"model": {"parameters": {"max_depth": 6}}}.',
        ),
        "reason": _reason(),
        "engine": Param(
            fleet.spec.engine,
            type="string",
            enum=ENGINES,
            title="Engine",
            description="Where this run's Beam jobs run.",
        ),
        "force": Param(
            False,
            type="boolean",
            title="Force",
            description="Promote in spite of the comparison with the champion; never in spite of absolute thresholds "
            "or validation.",
        ),
    }


def rollback_params() -> dict[str, Param]:
    """Return the Params of a rollback DAG."""
    return {
        "action": Param(
            "roll_back",
            type="string",
            enum=["roll_back", "pin", "unpin", "pooled_only", "whole_fleet"],
            title="Action",
            description="Go back to an earlier bundle; pin the fleet (no promotion until it is unpinned) or unpin it; "
            "let the pooled model answer for every entity, or the whole fleet again.",
        ),
        "to": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Generation",
            description="The generation whose bundle shall serve again. Empty means the last different one; for a pin, "
            "the one that serves now.",
        ),
        "reason": _reason(),
    }


def serve_params() -> dict[str, Param]:
    """Return the Params of a serve DAG."""
    return {
        "action": Param(
            "ensure",
            type="string",
            enum=["ensure", "restart", "drain", "stop"],
            title="Action",
            description="Start the job unless it runs; drain it and start one of the spec and code of now from its "
            "state; drain and end it; or end it at once.",
        ),
        "discard_state": Param(
            False,
            type="boolean",
            title="Discard the state",
            description="For a restart: go on even where the state cannot go over to the new job.",
        ),
    }


def score_params(fleet: Fleet) -> dict[str, Param]:
    """Return the Params of a batch-score DAG; with a schedule they are asked for only where it is another file."""
    scheduled = fleet.spec.schedule.score is not None
    what = {
        "input": "File with the rows to score, here or below gs:// or s3://: CSV, JSONL or Parquet.",
        "output": "Parquet file to write, here or below gs:// or s3://; appears when it is whole.",
    }
    if scheduled:
        return {
            name: Param(None, type=["null", "string"], title=name.title(), description=f"{text} Empty: the schedule's.")
            for name, text in what.items()
        }
    return {
        name: Param(type="string", minLength=1, title=name.title(), description=text) for name, text in what.items()
    }


def score_arguments(fleet: Fleet) -> dict[str, str]:
    """Return the arguments of the job of a batch-score DAG, as templates: what was asked for, or else the schedule's.

    A run that was started by hand may have no logical date; its day is then that on which it may start.
    """
    score = fleet.spec.schedule.score
    if score is None:
        return {name: f"{{{{ params.{name} }}}}" for name in ("input", "output")}
    day = "(dag_run.logical_date or dag_run.run_after).strftime('%Y-%m-%d')"
    return {
        name: f"{{{{ params.{name} or {json.dumps(getattr(score, name))}.replace('{DATE}', {day}) }}}}"
        for name in score.PATHS
    }
