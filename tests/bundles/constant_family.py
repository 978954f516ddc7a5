"""A family whose models are constants, so that every prediction says which model made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.errors import SpecError
from modelfleet.families.base import Fitted, TrainingShard
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import Task


class ConstantFamily:
    """Each model answers one number, kept in the column ``value``."""

    name: ClassVar[str] = "constant"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)
    libraries: ClassVar[tuple[str, ...]] = ()

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        if set(parameters) - {"note"}:
            raise SpecError(f"model.parameters: unknown {sorted(parameters)}")
        self.schema = schema

    def fit(self, shard: TrainingShard) -> Fitted:
        means = [float(shard.target[a:b].mean()) for a, b in zip(shard.bounds[:-1], shard.bounds[1:], strict=True)]
        return Fitted(models_of(dict(zip(shard.entities, means, strict=True))))

    def load(self, models: pa.Table) -> ConstantPredictor:
        return ConstantPredictor(models["value"].to_numpy(), self.schema.outputs)


class BoundFamily(ConstantFamily):
    """The same, bound to the series of numpy that wrote it."""

    name: ClassVar[str] = "bound"
    libraries: ClassVar[tuple[str, ...]] = ("numpy",)


class ConstantPredictor:
    def __init__(self, values: np.ndarray, outputs: int) -> None:
        self.values, self.outputs = values, outputs

    def predict(self, rows: EncodedRows, model: np.ndarray) -> np.ndarray:
        value = self.values[model].astype(float)[:, None]
        if self.outputs == 1:
            return value
        rest = np.repeat((1 - value) / (self.outputs - 1), self.outputs - 1, axis=1)
        return np.hstack([rest, value])


def schema(task: Task = Task.REGRESSION, classes: tuple[str, ...] = (), feature: str = "x") -> Schema:
    return Schema(
        entity=("store",),
        target="y",
        task=task,
        classes=classes,
        features=(Feature(name=feature, type=ColumnType.NUMBER),),
    )


def models_of(values: Mapping[str, float]) -> pa.Table:
    return pa.table(
        {
            "entity": pa.array(values.keys(), pa.string()),
            "value": pa.array(values.values(), pa.float64()),
            "note": pa.array([[v, v] if v > 0 else None for v in values.values()], pa.list_(pa.float32())),
        }
    )


def write_bundle(
    folder,
    shards: Mapping[int, Mapping[str, float]],
    *,
    pooled: float | None = None,
    of: Schema | None = None,
    family: str = "constant",
    parameters: Mapping[str, object] | None = None,
    run_id: str = "run-1",
    split: str = "split-1",
    fleet: str = "sales",
    rows: Mapping[str, int] | None = None,
) -> Bundle:
    """Write a bundle of constants: shard number -> entity -> constant."""
    of = of or schema()
    writer = BundleWriter(folder, fleet=fleet, task=of.task, split_fingerprint=split, run_id=run_id)
    entities = []
    for number, values in shards.items():
        writer.add_shard(number, family, parameters or {}, of, models_of(values))
        entities += list(values)
    if pooled is not None:
        writer.set_pooled(family, parameters or {}, of, models_of({"": pooled}))
    facts = pa.table(
        {
            "entity": pa.array(entities, pa.string()),
            "rows_train": pa.array([(rows or {}).get(e, 10) for e in entities], pa.int64()),
            "loss": pa.array([0.5] * len(entities), pa.float64()),
        }
    )
    return writer.finish(facts)


def encode(rows: int):
    """Return what ``predict_encoded`` wants: an encoder of ``rows`` rows that do not matter."""
    return lambda _schema: EncodedRows(np.zeros((rows, 0), np.int32), np.zeros((rows, 1)))
