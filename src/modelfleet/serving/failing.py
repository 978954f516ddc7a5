"""Models that fail: their rows get the reason, the rows beside them their answer, and the next batch is not held up."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from modelfleet.bundles.loaded import ask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from modelfleet.bundles.shard_memory import Shard
    from modelfleet.data.encoded import EncodedRows

logger = logging.getLogger(__name__)


class FailingModel(BaseModel):
    """A model that did not answer.

    Attributes:
        entity: Whose it is; empty for the pooled model.
        rows: How many rows it failed.
        reason: Why it failed the last of them.
    """

    model_config = ConfigDict(frozen=True)

    entity: str
    rows: int
    reason: str


class FailingModels:
    """Asks the models of one loaded bundle, and remembers which of them raised.

    Rows whose prediction raises are found by halving. From then on the rows of their models are predicted apart, each
    model's alone, so that a bad model in every batch costs one more call and not a search.
    """

    def __init__(self) -> None:
        self._raised: defaultdict[str, set[int]] = defaultdict(set)
        self._failed: dict[tuple[str, int], FailingModel] = {}
        self._rows = 0
        self._lock = threading.Lock()

    @property
    def rows(self) -> int:
        """How many rows have failed."""
        return self._rows

    def worst(self, most: int) -> tuple[FailingModel, ...]:
        """Return the models that failed the most rows, at most so many."""
        with self._lock:
            found = list(self._failed.values())
        return tuple(sorted(found, key=lambda one: (-one.rows, one.entity))[:most])

    def __call__(
        self, shard: Shard, rows: EncodedRows, model: NDArray[np.int32]
    ) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Predict n rows by the models of a file; see ``modelfleet.bundles.loaded.Asking``. Raises nothing."""
        raised = self._raised.get(shard.file.sha256)
        groups = [np.arange(len(model))]
        if raised:
            bad = np.isin(model, np.fromiter(raised, np.int32, len(raised)))
            groups = [np.flatnonzero(~bad), *(np.flatnonzero(model == one) for one in np.unique(model[bad]).tolist())]
        values = np.zeros((len(model), shard.schema.outputs))
        failures: dict[int, str] = {}
        for members in groups:
            if len(members):
                self._ask(shard, rows, model, members, values, failures)
        for i in np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist():
            failures[i] = f"the model's prediction is not finite: {values[i].tolist()}"
            values[i] = 0.0
        for i, reason in failures.items():
            self._count(shard, int(model[i]), reason)
        return values, failures

    def _ask(
        self,
        shard: Shard,
        rows: EncodedRows,
        model: NDArray[np.int32],
        members: NDArray[np.int64],
        values: NDArray[np.float64],
        failures: dict[int, str],
    ) -> None:
        """Predict some of the rows, in halves where they raise."""
        parts = [members]
        while parts:
            part = parts.pop()
            try:
                values[part] = ask(shard, rows if len(part) == len(model) else rows.take(part), model[part])
            except Exception as error:  # a family's code may raise anything; one row must not take the others with it
                if len(part) > 1:
                    parts += [part[: len(part) // 2], part[len(part) // 2 :]]
                    continue
                failures[int(part[0])] = f"the model failed: {type(error).__name__}: {error}"
                self._raised[shard.file.sha256].add(int(model[part[0]]))

    def _count(self, shard: Shard, row: int, reason: str) -> None:
        key = (shard.file.sha256, row)
        with self._lock:
            self._rows += 1
            before = self._failed.get(key)
            entity = before.entity if before else shard.entities[row].as_py()
            self._failed[key] = FailingModel(entity=entity, rows=1 + (before.rows if before else 0), reason=reason)
        if before is None:
            logger.warning("%s: the model of entity '%s' fails: %s", shard.file.path, entity, reason)
