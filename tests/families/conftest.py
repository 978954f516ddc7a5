from __future__ import annotations

import numpy as np
import pytest

from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.families.base import TrainingShard
from modelfleet.spec.fleet import Task
from tests.families.signal_model import signal_model

CLASSES = {Task.BINARY: ("no", "yes"), Task.MULTICLASS: ("a", "b", "c"), Task.REGRESSION: ()}


@pytest.fixture
def make_schema():
    def make(task, levels=(4, 6), numbers=3):
        features = [
            Feature(name=f"c{j}", type="category", levels=tuple(f"l{i}" for i in range(n)))
            for j, n in enumerate(levels)
        ]
        features += [Feature(name=f"n{j}", type="number") for j in range(numbers)]
        return Schema(entity=("e",), target="y", task=task, classes=CLASSES[Task(task)], features=tuple(features))

    return make


@pytest.fixture
def make_rows():
    def make(schema, n, rng, missing=0.0, unseen=0.0):
        codes = np.stack(
            [rng.integers(1, len(f.levels) + 1, n) for f in schema.categories] or [np.zeros(n)], axis=1
        ).astype(np.int32)[:, : len(schema.categories)]
        numbers = np.round(rng.normal(size=(n, len(schema.numbers))) * 10.0 ** np.arange(len(schema.numbers)), 1)
        if missing:
            codes[rng.random(codes.shape) < missing] = 0
            numbers[rng.random(numbers.shape) < missing] = np.nan
        if unseen:
            codes[rng.random(codes.shape) < unseen] = -1
        return EncodedRows(codes, numbers)

    return make


@pytest.fixture
def make_shard(make_rows):
    """Entities of the given sizes; the target depends on the features and, so that entities differ, on the entity."""

    def make(schema, sizes, seed=0, missing=0.0):
        rng = np.random.default_rng(seed)
        bounds = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = make_rows(schema, int(bounds[-1]), rng, missing)
        entity = np.repeat(np.arange(len(sizes)), sizes)
        signal = np.zeros(len(rows))
        for j in range(rows.codes.shape[1]):
            signal += rows.codes[:, j] % 3 - 1
        if rows.numbers.shape[1]:
            signal += np.nan_to_num(rows.numbers[:, 0]) * (1 - 2 * (entity % 2))
        signal += rng.normal(size=len(rows))
        target = signal
        if schema.classes:
            cuts = np.quantile(signal, np.arange(1, len(schema.classes)) / len(schema.classes)) if len(rows) else []
            target = np.searchsorted(cuts, signal).astype(np.float64)
        return TrainingShard(tuple(f"e{i}" for i in range(len(sizes))), bounds, rows, target)

    return make


@pytest.fixture(scope="session")
def brought_models(tmp_path_factory):
    """A function from a task to a folder of ONNX models for the first entities of ``make_shard``, of any columns."""
    folders = {}

    def folder(task):
        if task not in folders:
            folders[task] = tmp_path_factory.mktemp(task)
            for entity in range(4):
                data = signal_model(len(CLASSES[Task(task)]), 1.0 - 2.0 * (entity % 2)).SerializeToString()
                (folders[task] / f"e{entity}.onnx").write_bytes(data)
        return str(folders[task])

    return folder
