"""The two assets of a fleet, and the schedule made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetOrTimeSchedule, CronTriggerTimetable

if TYPE_CHECKING:
    from modelfleet.spec.fleet import FleetSpec

START = datetime(2025, 1, 1, tzinfo=UTC)
"""Before it no cron tick counts; with catchup off it only has to lie in the past."""


def release_asset(fleet: str) -> Asset:
    """Return the asset that has an event for every release of a fleet.

    The event's extra holds ``generation``, ``reason`` and ``run_id``.
    """
    return Asset(name=f"{fleet}_release", uri=f"modelfleet://{fleet}/release", group="modelfleet")


def new_data_asset(fleet: str) -> Asset:
    """Return the asset whose events start a retraining; who delivers data makes them, over REST or as an outlet."""
    return Asset(name=f"{fleet}_new_data", uri=f"modelfleet://{fleet}/new_data", group="modelfleet")


def retrain_schedule(spec: FleetSpec) -> Any:
    """Return what a fleet's retrain DAG runs on: the clock, new data, both, or None for by hand only."""
    clock = CronTriggerTimetable(spec.schedule.cron, timezone="UTC") if spec.schedule.cron else None
    if not spec.schedule.on_new_data:
        return clock
    new_data = new_data_asset(spec.fleet)
    return [new_data] if clock is None else AssetOrTimeSchedule(timetable=clock, assets=(new_data,))
