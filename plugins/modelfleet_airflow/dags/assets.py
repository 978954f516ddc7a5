"""The two assets of a fleet, and the schedules of its DAGs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable

if TYPE_CHECKING:
    from modelfleet.spec.fleet import FleetSpec


SCHEME = "x-modelfleet"
"""For any scheme without ``x-`` Airflow imports every installed provider, to ask each for a handler: that is
0.8 CPU-seconds in every parse of a DAG file, and so in every task."""


def release_asset(fleet: str) -> Asset:
    """Return the asset that has an event for every release of a fleet.

    The event's extra holds ``generation``, ``reason`` and ``run_id``.
    """
    return Asset(name=f"{fleet}_release", uri=f"{SCHEME}://{fleet}/release", group="modelfleet")


def new_data_asset(fleet: str) -> Asset:
    """Return the asset whose events start a retraining; who delivers data makes them, over REST or as an outlet."""
    return Asset(name=f"{fleet}_new_data", uri=f"{SCHEME}://{fleet}/new_data", group="modelfleet")


def retrain_schedule(spec: FleetSpec) -> Any:
    """Return what a fleet's retrain DAG runs on: the clock, new data, both, or None for by hand only.

    The DAG has no start date, so the clock's first run is the next tick: with one, Airflow would at once make up for
    the last tick before the fleet existed.
    """
    clock = _clock(spec.schedule.cron) if spec.schedule.cron else None
    if not spec.schedule.on_new_data:
        return clock
    new_data = new_data_asset(spec.fleet)
    return [new_data] if clock is None else AssetOrTimeSchedule(timetable=clock, assets=(new_data,))


def score_schedule(spec: FleetSpec) -> Any:
    """Return what a fleet's batch-score DAG runs on: the clock, or None for by hand only."""
    return None if spec.schedule.score is None else _clock(spec.schedule.score.cron)


def _clock(cron: str) -> CronTriggerTimetable:
    # run_immediately=False would still make up for a tick within the last tenth of the period; no time at all does not
    return CronTriggerTimetable(cron, timezone="UTC", run_immediately=timedelta(0))
