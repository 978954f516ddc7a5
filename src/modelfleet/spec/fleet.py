"""The fleet spec: one YAML file that says everything about a fleet."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, model_validator

from modelfleet.errors import nearest
from modelfleet.spec.data import ColumnRole, DataSpec, Names, SplitSpec
from modelfleet.spec.expectations import ExpectationsSpec
from modelfleet.spec.gate import GatePolicy
from modelfleet.spec.section import Section
from modelfleet.spec.serving import ServingSpec


class Task(StrEnum):
    """What a fleet predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class ModelSpec(Section):
    """What is trained for each entity.

    Attributes:
        family: Name of a family: ``tree``, ``logistic``, ``linear``, ``sklearn``, or one an installed package
            adds. Absent means ``tree``.
        parameters: The family's own parameters; it says which it knows.
        min_rows: Training rows below which an entity gets no model of its own and is served by the pooled one.
        features: Columns used; absent means every column whose role is feature.
        seed: Seed of every random draw.
        pooled_rows: Most rows the pooled model is fitted on, drawn evenly over the fleet.
    """

    family: str = "tree"
    parameters: dict[str, Any] = Field(default_factory=dict)
    min_rows: int = Field(default=20, ge=2)
    features: Names | None = None
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    pooled_rows: int = Field(default=100_000, ge=10)


class ScheduleSpec(Section):
    """When the fleet retrains by itself.

    Attributes:
        cron: A cron expression in UTC; absent means never by the clock.
        on_new_data: Whether an event of the fleet's new-data asset starts a run.
    """

    cron: str | None = None
    on_new_data: bool = True


class ResourcesSpec(Section):
    """How much work is done at once, and how long it may take.

    Attributes:
        shards: Number of shards the fleet is divided into: the unit of training, of files and of loading.
        threads: Threads of the training step; 0 means one per core.
        retries: How often a failed Airflow task is tried again.
        timeout_minutes: Longest an Airflow task may take.
    """

    shards: int = Field(default=8, ge=1, le=10_000)
    threads: int = Field(default=0, ge=0)
    retries: int = Field(default=1, ge=0)
    timeout_minutes: float = Field(default=60.0, gt=0)


class FleetSpec(Section):
    """All models of one task, one per entity.

    Attributes:
        fleet: Its name; also the MLflow model's name and a folder name.
        entity: The key column or columns; one model per distinct value.
        task: What is predicted.
        engine: Where the Beam jobs run; the one field to change to move a fleet.
        engine_options: Pipeline options passed to the engine as they are.
    """

    fleet: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    entity: Names = Field(min_length=1)
    task: Task
    data: DataSpec
    split: SplitSpec = SplitSpec()
    expectations: ExpectationsSpec = ExpectationsSpec()
    model: ModelSpec = ModelSpec()
    gate: GatePolicy = GatePolicy()
    schedule: ScheduleSpec = ScheduleSpec()
    serving: ServingSpec = ServingSpec()
    engine: Literal["local", "flink", "dataflow"] = "local"
    engine_options: dict[str, str | int | float | bool] = Field(default_factory=dict)
    resources: ResourcesSpec = ResourcesSpec()

    @model_validator(mode="after")
    def _columns_agree(self) -> FleetSpec:
        columns = self.data.columns
        if self.data.target in self.entity:
            raise ValueError(f"data.target '{self.data.target}' is also an entity column")
        if columns is None:
            return self
        for field, names in (("entity", self.entity), ("data.target", (self.data.target,))):
            for name in names:
                if name not in columns:
                    raise ValueError(f"{field} '{name}' is not among data.columns{nearest(name, columns)}")
        for role in (ColumnRole.ROW_ID, ColumnRole.GROUP):
            having = [name for name, column in columns.items() if column.role is role]
            if len(having) > 1:
                raise ValueError(f"at most one column may have role {role}, but {', '.join(having)} have it")
        usable = [n for n, c in columns.items() if c.role is ColumnRole.FEATURE]
        usable = [n for n in usable if n not in self.entity and n != self.data.target]
        for name in self.model.features or ():
            if name not in usable:
                raise ValueError(f"model.features: '{name}' is not a feature column{nearest(name, usable)}")
        if not usable:
            raise ValueError("data.columns: no column has role feature, so there is nothing to learn from")
        return self
