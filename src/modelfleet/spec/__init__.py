"""The fleet spec: its sections, reading it from YAML, and overriding parts of it for one run."""

from modelfleet.spec.data import Column, ColumnRole, ColumnType, DataSpec, SplitSpec
from modelfleet.spec.evaluation import EvaluationSpec
from modelfleet.spec.expectations import EntityExpectations, ExpectationsSpec, RowExpectation
from modelfleet.spec.file import load_spec, parse_spec
from modelfleet.spec.fleet import FleetSpec, ResourcesSpec, Task
from modelfleet.spec.gate import GatePolicy, Threshold
from modelfleet.spec.hints import HintSpec, HintsSpec
from modelfleet.spec.kafka import NewTopicSpec
from modelfleet.spec.model import CandidateSpec, ModelSpec, PooledSpec, Recipe
from modelfleet.spec.notices import KafkaNotices, PubsubNotices
from modelfleet.spec.overrides import override
from modelfleet.spec.retention import RetentionSpec
from modelfleet.spec.schedule import ScheduleSpec, ScoreScheduleSpec
from modelfleet.spec.serving import ServingSpec
from modelfleet.spec.sink import FolderSinkSpec, KafkaSinkSpec, PubsubSinkSpec
from modelfleet.spec.source import FolderSourceSpec, KafkaSourceSpec, PubsubSourceSpec

__all__ = [
    "CandidateSpec",
    "Column",
    "ColumnRole",
    "ColumnType",
    "DataSpec",
    "EntityExpectations",
    "EvaluationSpec",
    "ExpectationsSpec",
    "FleetSpec",
    "FolderSinkSpec",
    "FolderSourceSpec",
    "GatePolicy",
    "HintSpec",
    "HintsSpec",
    "KafkaNotices",
    "KafkaSinkSpec",
    "KafkaSourceSpec",
    "ModelSpec",
    "NewTopicSpec",
    "PooledSpec",
    "PubsubNotices",
    "PubsubSinkSpec",
    "PubsubSourceSpec",
    "Recipe",
    "ResourcesSpec",
    "RetentionSpec",
    "RowExpectation",
    "ScheduleSpec",
    "ScoreScheduleSpec",
    "ServingSpec",
    "SplitSpec",
    "Task",
    "Threshold",
    "load_spec",
    "override",
    "parse_spec",
]
