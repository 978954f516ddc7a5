"""What preparing a fleet's data will do: which columns are typed, which are left out and why, what identifies a row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from modelfleet.data.inference import infer_columns, infer_missing
from modelfleet.data.reading import check_files, column_names
from modelfleet.data.sample import read_sample
from modelfleet.data.schema import Feature, Schema
from modelfleet.data.split import split_fingerprint
from modelfleet.data.typed import ARROW_TYPES
from modelfleet.errors import SpecError, nearest
from modelfleet.spec.data import RESERVED, Column, ColumnRole, ColumnType
from modelfleet.spec.fleet import Task

if TYPE_CHECKING:
    from modelfleet.data.files import DataFile
    from modelfleet.spec.fleet import FleetSpec

ENTITY, PART, ROW, TARGET = "__entity", "__part", "__row", "__target"
"""Columns of a prepared shard: entity key, part of the split, hash of the whole row, class index or number."""


@dataclass(frozen=True)
class PreparePlan:
    """What to do with every row.

    Attributes:
        spec: The fleet's spec.
        files: The data files.
        columns: The named columns, in the data's order, entity and target included.
        features: Names of the feature columns, in that order.
        ignored: Each column that is not a feature, and why.
        missing: Texts that mean "no value", sorted.
        identity_kind: ``group``, ``row_id`` or ``content``.
        identity: The columns that are a row's identity.
        entities: Entities to prepare; None means all.
        champion_index: Path of the champion's index.parquet, for the holdout thresholds; None where there is none.
        inferred: Whether the columns were inferred.
        kept: Columns that are no features but are kept in the prepared rows, for expectations and reports.
    """

    spec: FleetSpec
    files: tuple[DataFile, ...]
    columns: dict[str, Column]
    features: tuple[str, ...]
    ignored: dict[str, str]
    missing: tuple[str, ...]
    identity_kind: str
    identity: tuple[str, ...]
    entities: frozenset[str] | None = None
    champion_index: str | None = None
    inferred: bool = False
    kept: tuple[str, ...] = field(default=())

    @property
    def split_fingerprint(self) -> str:
        """What decides every row's part; it is stored in the bundle."""
        return split_fingerprint(self.spec.split, self.identity, self.identity_kind)

    @property
    def is_category(self) -> frozenset[str]:
        """The feature columns whose levels are counted."""
        return frozenset(name for name in self.features if self.columns[name].type is ColumnType.CATEGORY)

    def max_levels(self, name: str) -> int:
        """Return how many levels a category keeps."""
        return self.columns[name].max_levels or self.spec.data.max_levels

    def outline(self) -> Schema:
        """Return the schema as far as it is known before any row is read: no levels, and classes called 0 and 1.

        Enough to see whether a family takes its parameters.
        """
        return Schema(
            entity=self.spec.entity,
            target=self.spec.data.target,
            task=self.spec.task,
            classes=() if self.spec.task is Task.REGRESSION else ("0", "1"),
            features=tuple(
                Feature(
                    name=name,
                    type=self.columns[name].type,
                    levels=() if self.columns[name].type is ColumnType.CATEGORY else None,
                    default=self.columns[name].default,
                )
                for name in self.features
            ),
            missing=self.missing,
        )


def make_plan(
    spec: FleetSpec, *, entities: Collection[str] | None = None, champion_index: str | None = None
) -> PreparePlan:
    """Check the data files and decide what to do with their columns.

    Args:
        spec: The fleet's spec; where it names no columns they are inferred from the data.
        entities: Entities to prepare; None means all.
        champion_index: Path of the champion's index.

    Raises:
        DataError: A file is missing, is not what it says, or lacks a column.
        SpecError: ``model.features`` names what is no feature, or a column's name begins like ours.
    """
    files = check_files(spec)
    names = list(dict.fromkeys(name for file in files for name in column_names(file, spec.data)))
    for name in names:
        if name.startswith(RESERVED):
            raise SpecError(f"{files[0].path}: column '{name}': names that begin with {RESERVED} are ours; rename it")
    columns, ignored, missing = _columns(spec, names)
    usable = [
        n for n, c in columns.items() if c.role is ColumnRole.FEATURE and n not in {*spec.entity, spec.data.target}
    ]
    features = usable
    if spec.model.features is not None:
        for name in spec.model.features:
            if name not in usable:
                raise SpecError(f"model.features: '{name}' is not a feature column{nearest(name, usable)}")
        features = [name for name in usable if name in spec.model.features]
        ignored |= {name: "model.features does not name it" for name in usable if name not in features}
    if not features:
        raise SpecError("no column can be a feature, so there is nothing to learn from; name some in data.columns")
    kind, identity = _identity(columns, names)
    return PreparePlan(
        spec=spec,
        files=files,
        columns=columns,
        features=tuple(features),
        ignored=ignored,
        missing=missing,
        identity_kind=kind,
        identity=identity,
        entities=None if entities is None else frozenset(entities),
        champion_index=champion_index,
        inferred=spec.data.columns is None,
        kept=tuple(n for n, c in columns.items() if n not in features and _kept(n, c, spec)),
    )


def _columns(spec: FleetSpec, names: Sequence[str]) -> tuple[dict[str, Column], dict[str, str], tuple[str, ...]]:
    """Return the named columns in the data's order, why the others are ignored, and the missing markers."""
    data = spec.data
    if data.columns is not None:
        columns = {name: data.columns[name] for name in names if name in data.columns}
        ignored = {
            name: f"its role is {column.role}"
            for name, column in columns.items()
            if column.role in (ColumnRole.IGNORE, ColumnRole.GROUP, ColumnRole.ROW_ID)
        }
        ignored |= {name: "data.columns does not name it" for name in names if name not in columns}
        return columns, ignored, tuple(sorted(set(data.missing)))
    sample = read_sample(data)
    missing = tuple(sorted({*data.missing, *infer_missing(sample)}))
    inferred = infer_columns(
        sample, entity=spec.entity, target=data.target, task=spec.task, missing=missing, max_levels=data.max_levels
    )
    columns = {name: inferred[name].column for name in names if name in inferred}
    ignored = {
        name: inferred[name].reason
        for name, column in columns.items()
        if column.role not in (ColumnRole.FEATURE, ColumnRole.ENTITY, ColumnRole.TARGET)
    }
    ignored |= {name: "the rows looked at do not have it" for name in names if name not in columns}
    return columns, ignored, missing


def _identity(columns: dict[str, Column], names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    for role in (ColumnRole.GROUP, ColumnRole.ROW_ID):
        for name, column in columns.items():
            if column.role is role:
                return str(role), (name,)
    return "content", tuple(sorted(names))


def _kept(name: str, column: Column, spec: FleetSpec) -> bool:
    """Return whether a column that is no feature is kept in the prepared rows, for expectations and reports."""
    if name == spec.data.target and spec.task is not Task.REGRESSION:
        return True
    return column.type in ARROW_TYPES or column.type is ColumnType.CATEGORY
