"""A family for tests whose models can be told to misbehave; installed beside the workers by ``install``."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pyarrow as pa

from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Schema
from modelfleet.families.base import Fitted, TrainingShard
from modelfleet.spec.fleet import Task

HARMFUL_X = -666.0
"""A row with this ``x`` makes its entity's model do what its column ``temper`` says; every other row is answered."""


class PoisonFamily:
    """Each model adds its number to the feature ``x``, and has a temper: raise, hang, spin, crash or nan."""

    name: ClassVar[str] = "poison"
    tasks: ClassVar[frozenset[Task]] = frozenset({Task.REGRESSION})
    libraries: ClassVar[tuple[str, ...]] = ()

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        self.schema = schema

    def fit(self, shard: TrainingShard) -> Fitted:
        raise NotImplementedError("the tests write its models themselves")

    def load(self, models: pa.Table) -> PoisonPredictor:
        return PoisonPredictor(models["value"].to_numpy(), models["temper"].to_pylist())


class PoisonPredictor:
    def __init__(self, values: np.ndarray, tempers: list[str]) -> None:
        self.values, self.tempers = values, tempers

    def predict(self, rows: EncodedRows, model: np.ndarray) -> np.ndarray:
        x = rows.numbers[:, 0]
        result = self.values[model] + x
        for i in np.flatnonzero(x == HARMFUL_X):
            result[i] = _lose_it(self.tempers[model[i]], result[i])
        return result[:, None]


def _lose_it(temper: str, calm: float) -> float:
    if temper == "raise":
        raise ArithmeticError("this model does not like the row")
    if temper == "hang":
        while True:  # as a model that waits for a lock that nobody gives back
            threading.Event().wait()
    if temper == "spin":  # in C, with the interpreter's lock held: no other Python thread runs any more
        re.match(r"(a|aa)+$", "a" * 100 + "b")
    if temper == "crash":
        os.abort()
    return float("nan") if temper == "nan" else calm


def install(folder: Path) -> None:
    """Make the family known to every interpreter that has ``folder`` on its path, as an installed package would."""
    folder.mkdir(parents=True)
    (folder / "poison_family.py").write_bytes(Path(__file__).read_bytes())
    metadata = folder / "poison_family-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: poison-family\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[modelfleet.families]\npoison = poison_family:PoisonFamily\n")
