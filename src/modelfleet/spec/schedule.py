"""The schedule section: what a fleet's DAGs do by the clock."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator, model_validator

from modelfleet.spec.section import Section

CRON = r"^(@(hourly|daily|weekly|monthly|yearly)|[^\s@]+( [^\s@]+){4})$"
"""Five fields, or one of the usual short forms."""

DATE = "{date}"
"""Stands for a run's logical date, in UTC, as 2026-01-31."""


class ScoreScheduleSpec(Section):
    """Files that come regularly and are scored as they come; Airflow's backfill scores those of the past.

    Attributes:
        cron: A cron expression in UTC.
        input: File, folder or glob of a day's rows, here or below a bucket; `{date}` stands for the run's logical date,
            as 2026-01-31.
        output: Parquet file of a day's predictions; it must have `{date}` in it, or a day would take the place of the
            one before.
    """

    PATHS: ClassVar = ("input", "output")

    cron: str = Field(pattern=CRON)
    input: str = Field(min_length=1)
    output: str = Field(min_length=1)

    @field_validator("input", "output")
    @classmethod
    def _only_the_date(cls, named: str) -> str:
        # What is left would be a template to Airflow, which a spec must not be
        if set("{}") & set(named.replace(DATE, "")):
            raise ValueError(f"'{named}' has braces that are none of {DATE}, which alone stands for something")
        return named

    @model_validator(mode="after")
    def _each_day_its_own(self) -> ScoreScheduleSpec:
        if DATE not in self.output:
            raise ValueError(f"output '{self.output}' has no {DATE}: each day would take the place of the one before")
        return self


class ScheduleSpec(Section):
    """What happens by itself.

    Attributes:
        cron: When the fleet retrains: a cron expression in UTC; absent means never by the clock.
        on_new_data: Whether an event of the fleet's new-data asset starts a run.
        score: Files that are scored by the clock. Absent means that scoring is started by hand.
    """

    cron: str | None = Field(default=None, pattern=CRON)
    on_new_data: bool = True
    score: ScoreScheduleSpec | None = None
