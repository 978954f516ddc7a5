"""The fleet spec: one YAML file that says everything about a fleet."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator, model_validator

from modelfleet.errors import nearest
from modelfleet.spec.data import UNUSED_TYPES, Column, ColumnRole, ColumnType, DataSpec, Names, SplitSpec
from modelfleet.spec.evaluation import EvaluationSpec, check_slices
from modelfleet.spec.expectations import ExpectationsSpec
from modelfleet.spec.gate import (
    CLASSIFICATION_LOSSES,
    CLASSIFICATION_METRICS,
    REGRESSION_LOSSES,
    REGRESSION_METRICS,
    GatePolicy,
)
from modelfleet.spec.hints import HintsSpec
from modelfleet.spec.model import ModelSpec
from modelfleet.spec.retention import RetentionSpec
from modelfleet.spec.schedule import ScheduleSpec
from modelfleet.spec.section import Section
from modelfleet.spec.serving import ServingSpec


class Task(StrEnum):
    """What a fleet predicts."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class ResourcesSpec(Section):
    """How much work is done at once, and how long it may take.

    Attributes:
        shards: Number of shards the fleet is divided into: the unit of training, of files and of loading.
        threads: Threads of the steps prepare and train and of scoring, on each worker; 0 means one per core. On
            Dataflow it means one: a worker has a process per core.
        retries: How often a failed Airflow task is tried again.
        timeout_minutes: Longest an Airflow task may take.
        hints: What single steps need of a worker, on Dataflow.
    """

    shards: int = Field(default=8, ge=1, le=10_000)
    threads: int = Field(default=0, ge=0)
    retries: int = Field(default=1, ge=0)
    timeout_minutes: float = Field(default=60.0, gt=0)
    hints: HintsSpec = HintsSpec()


SECRET_OPTION = re.compile(r"password|passphrase|secret|private_key|token|api_?key", re.IGNORECASE)
"""Names of pipeline options whose values must be known to nobody."""


class FleetSpec(Section):
    """All models of one task, one per entity.

    Attributes:
        fleet: Its name; also the MLflow model's name and a folder name.
        entity: The key column or columns; one model per distinct value.
        task: What is predicted.
        engine: Where the Beam jobs run; the one field to change to move a fleet.
        engine_options: Pipeline options passed to the engine as they are. Whoever sees the job sees them, so none may
            be a secret: credentials are the environment's.
    """

    fleet: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")
    entity: Names = Field(min_length=1)
    task: Task
    data: DataSpec
    split: SplitSpec = SplitSpec()
    expectations: ExpectationsSpec = ExpectationsSpec()
    model: ModelSpec = ModelSpec()
    evaluation: EvaluationSpec = EvaluationSpec()
    gate: GatePolicy = GatePolicy()
    schedule: ScheduleSpec = ScheduleSpec()
    serving: ServingSpec = ServingSpec()
    retention: RetentionSpec = RetentionSpec()
    engine: Literal["local", "flink", "dataflow"] = "local"
    engine_options: dict[str, str | int | float | bool | list[str]] = Field(default_factory=dict)
    resources: ResourcesSpec = ResourcesSpec()

    @property
    def worker_threads(self) -> int:
        """How many threads a step starts on a worker; Dataflow starts a process per core, so one is enough there."""
        return self.resources.threads or (1 if self.engine == "dataflow" else os.cpu_count() or 1)

    @field_validator("engine_options")
    @classmethod
    def _no_secrets(cls, options: dict[str, str | int | float | bool | list[str]]) -> Mapping[str, object]:
        for name in options:
            if SECRET_OPTION.search(name):  # its value is not shown: messages end in logs
                raise ValueError(
                    f"'{name}' is a secret, and whoever sees a job sees its options: take it out; the credentials of "
                    "the job are those of its environment, or of its service account"
                )
        return options

    @model_validator(mode="after")
    def _fields_agree(self) -> FleetSpec:
        if len(set(self.entity)) < len(self.entity):
            raise ValueError(f"entity: {', '.join(self.entity)} names a column twice")
        if self.data.target in self.entity:
            raise ValueError(f"data.target '{self.data.target}' is also an entity column")
        if self.model.features is not None and not self.model.features:
            raise ValueError("model.features is empty, so there is nothing to learn from; leave it out to use all")
        if self.model.candidates and self.split.validation == 0:
            raise ValueError("model.candidates are chosen on validation rows, but split.validation is 0")
        for side, kind in (("source", self.serving.source.kind), ("sink", self.serving.sink.kind)):
            if kind == "pubsub" and self.engine != "dataflow":
                raise ValueError(
                    f"serving.{side} is Pub/Sub, which engine '{self.engine}' cannot do; use kafka or folder"
                )
        self._check_gate()
        if self.data.columns is not None:
            self._check_columns()
        return self

    def _check_gate(self) -> None:
        regression = self.task is Task.REGRESSION
        losses = REGRESSION_LOSSES if regression else CLASSIFICATION_LOSSES
        if self.gate.loss is not None and self.gate.loss not in losses:
            raise ValueError(
                f"gate.loss '{self.gate.loss}' is not for task {self.task}; valid are: {', '.join(losses)}"
            )
        metrics = ("loss", *(REGRESSION_METRICS if regression else CLASSIFICATION_METRICS))
        for name in self.gate.thresholds:
            if name not in metrics:
                raise ValueError(f"gate.thresholds: '{name}' is no metric of task {self.task}{nearest(name, metrics)}")

    def _check_columns(self) -> None:
        columns = self.data.columns or {}
        for role, field, names in (
            (ColumnRole.ENTITY, "entity", self.entity),
            (ColumnRole.TARGET, "data.target", (self.data.target,)),
        ):
            for name in names:
                if name not in columns:
                    raise ValueError(f"{field} '{name}' is not among data.columns{nearest(name, columns)}")
                if columns[name].role not in (role, ColumnRole.FEATURE):
                    raise ValueError(f"column '{name}' has role {columns[name].role}, but {field} names it")
                if columns[name].default is not None:
                    raise ValueError(f"column '{name}' has a default, but {field} names it: defaults are for features")
            for name, column in columns.items():
                if column.role is role and name not in names:
                    raise ValueError(f"column '{name}' has role {role}, but {field} names {', '.join(names)}")
        for role in (ColumnRole.ROW_ID, ColumnRole.GROUP):
            having = [name for name, column in columns.items() if column.role is role]
            if len(having) > 1:
                raise ValueError(f"at most one column may have role {role}, but {', '.join(having)} have it")
        check_slices(self.evaluation.slices, columns, entity=self.entity, target=self.data.target)
        self._check_target(columns[self.data.target].type)
        self._check_features(columns)

    def _check_target(self, target: ColumnType) -> None:
        number = target in (ColumnType.NUMBER, ColumnType.INTEGER)
        if target in UNUSED_TYPES or (self.task is Task.REGRESSION and not number):
            raise ValueError(f"data.target '{self.data.target}' has type {target}: task {self.task} cannot predict it")

    def _check_features(self, columns: Mapping[str, Column]) -> None:
        used = {*self.entity, self.data.target}
        usable = [name for name, column in columns.items() if column.role is ColumnRole.FEATURE and name not in used]
        for name in self.model.features or ():
            if name not in usable:
                raise ValueError(f"model.features: '{name}' is not a feature column{nearest(name, usable)}")
        if not usable:
            raise ValueError("data.columns: no column has role feature, so there is nothing to learn from")
