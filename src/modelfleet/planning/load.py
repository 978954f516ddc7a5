"""What is planned for: how large the fleet is, how often it trains, how much is asked of it, on which machines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from modelfleet.spec.fleet import FleetSpec

HOURS_PER_MONTH = 730.0

_RUNS = {"@hourly": 730.0, "@daily": 30.4, "@weekly": 4.35, "@monthly": 1.0, "@yearly": 1 / 12}


class Load(BaseModel):
    """What a fleet must carry.

    Attributes:
        entities: Models of their own.
        rows: Rows that one training run reads.
        qps: Single requests per second, on average over the month.
        chunk_qps: Rows per second that come in chunks instead.
        runs: Training runs per month.
        vcpus: Cores of a worker.
        worker_gb: Memory of a worker.
        minutes: How long a training run may take.
        generations: Bundles that are kept.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    entities: int = Field(ge=1)
    rows: int = Field(ge=1)
    qps: float = Field(ge=0)
    chunk_qps: float = Field(default=0.0, ge=0)
    runs: float = Field(default=30.4, ge=0)
    vcpus: int = Field(default=4, ge=1)
    worker_gb: float = Field(default=16.0, gt=0)
    minutes: float = Field(default=60.0, gt=0)
    generations: int = Field(default=5, ge=1)

    @property
    def rows_per_entity(self) -> float:
        """On average."""
        return self.rows / self.entities


def runs_of(spec: FleetSpec) -> float:
    """Return how often a month a fleet trains by its schedule; without one, as if every day."""
    cron = spec.schedule.cron
    if cron is None:
        return _RUNS["@daily"]
    if cron in _RUNS:
        return _RUNS[cron]
    minute, hour, day, month, weekday = (_share(field, size) for field, size in zip(cron.split(), _SIZES, strict=True))
    days = 30.4 * min(day, weekday) * month
    return days * hour * 24 * minute * 60


_SIZES = (60, 24, 30.4, 12, 7)


def _share(field: str, size: float) -> float:
    """Return which share of its values a field of a cron expression matches."""
    if field.startswith("*/") and field[2:].isdigit():
        return 1 / min(float(field[2:]), size)
    if field == "*":
        return 1.0
    matched = 0.0
    for part in field.split(","):
        first, _, last = part.partition("-")
        matched += int(last) - int(first) + 1 if first.isdigit() and last.isdigit() else 1
    return min(matched / size, 1.0)
