"""A family for tests: each model adds a number of its own to the feature ``x``, and minds some values of it."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import pyarrow as pa

from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Schema
from modelfleet.families.base import Fitted, TrainingShard
from modelfleet.spec.fleet import Task

RAISES = 666.0
"""What no model likes to see."""

LIKES_NOTHING = -9000.0
"""A model that raises, whatever it sees."""

NOT_FINITE = 13.0

MISSHAPEN = -9004.0
"""A model that answers with a column too many."""

HANGS, HANGS_HARD, CRASHES = -9001.0, -9002.0, -9003.0
"""Models that never answer, that never let another thread go on either, and that end the process."""


class FussyFamily:
    name: ClassVar[str] = "fussy"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        self.schema = schema

    def fit(self, shard: TrainingShard) -> Fitted:
        raise NotImplementedError

    def load(self, models: pa.Table) -> FussyPredictor:
        return FussyPredictor(models["value"].to_numpy(), self.schema.outputs)


class FussyPredictor:
    def __init__(self, values: np.ndarray, outputs: int) -> None:
        self.values, self.outputs = values, outputs

    def predict(self, rows: EncodedRows, model: np.ndarray) -> np.ndarray:
        x = rows.numbers[:, 0]
        if (x == RAISES).any() or (self.values[model] == LIKES_NOTHING).any():
            raise ArithmeticError("666 is not liked here")
        self._be_deadly(self.values[model])
        if (self.values[model] == MISSHAPEN).any():
            return np.zeros((len(rows), self.outputs + 1))
        result = np.where(x == NOT_FINITE, np.inf, np.nan_to_num(x) + self.values[model])
        if self.outputs == 1:
            return result[:, None]
        first = 1 / (1 + np.exp(np.minimum(result, 500.0)))
        rest = np.repeat(((1 - first) / (self.outputs - 1))[:, None], self.outputs - 1, axis=1)
        return np.hstack([first[:, None], rest])

    @staticmethod
    def _be_deadly(values: np.ndarray) -> None:
        if (values == HANGS).any():
            threading.Event().wait()
        if (values == HANGS_HARD).any():
            re.match(r"(a+)+$", "a" * 60 + "b")  # takes for ever, with the lock of the interpreter in its hand
        if (values == CRASHES).any():
            os.kill(os.getpid(), signal.SIGSEGV)
