"""Models that fail: their rows get the reason, the rows beside them their answer, and the next batch is not held up."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from modelfleet.bundles.asking import ask
from modelfleet.serving.denylist import ANY_ROW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from modelfleet.bundles.shard_memory import Shard
    from modelfleet.data.encoded import EncodedRows
    from modelfleet.serving.denylist import Entry
    from modelfleet.serving.watchdog import Watchdog

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
    model's alone, so that a bad model in every batch costs one more call and not a search. Under a watchdog, models
    that ended a process are asked alone until they have answered, and not at all once they are denied.

    Args:
        watchdog: Watches each call; None lets a call take as long as it likes.
        generation: The release that asks.
    """

    def __init__(self, watchdog: Watchdog | None = None, generation: int = 0) -> None:
        self._watchdog = watchdog
        self._generation = generation
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
        """Predict n rows by the models of a file; see ``modelfleet.bundles.asking.Asking``. Raises nothing."""
        values = np.zeros((len(model), shard.schema.outputs))
        failures: dict[int, str] = {}
        sha256 = shard.file.sha256
        members = np.arange(len(model))
        if self._watchdog is not None:
            members = self._not_denied(shard, model, failures)
            if suspects := self._watchdog.denylist.known("suspect", sha256):
                members = self._ask_suspects(shard, rows, model, members, suspects, values, failures)
        raised = self._raised.get(sha256)
        groups = [members]
        if raised:
            bad = members[np.isin(model[members], np.fromiter(raised, np.int32, len(raised)))]
            groups = [np.setdiff1d(members, bad), *(bad[model[bad] == one] for one in np.unique(model[bad]))]
        for group in groups:
            if len(group):
                self._ask(shard, rows, model, group, values, failures)
        for i in np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist():
            failures[i] = f"the model's prediction is not finite: {values[i].tolist()}"
            values[i] = 0.0
        for i, reason in failures.items():
            self._count(shard, int(model[i]), reason)
        return values, failures

    def _not_denied(self, shard: Shard, model: NDArray[np.int32], failures: dict[int, str]) -> NDArray[np.int64]:
        """Fail the rows of denied models, and return the others."""
        assert self._watchdog is not None
        denylist = self._watchdog.denylist
        denied = denylist.known("denied", shard.file.sha256)
        if not denied:
            return np.arange(len(model))
        out = np.isin(model, np.fromiter(denied, np.int32, len(denied)))
        for i in np.flatnonzero(out).tolist():
            entry = denied[int(model[i])]
            if entry.entity is None:
                denylist.name(entry, shard.entity(entry.row))
            failures[i] = f"denied: {entry.reason} ({entry.at:%Y-%m-%d %H:%M:%S} UTC, generation {entry.generation})"
        return np.flatnonzero(~out)

    def _ask_suspects(
        self,
        shard: Shard,
        rows: EncodedRows,
        model: NDArray[np.int32],
        members: NDArray[np.int64],
        suspects: Mapping[int, Entry],
        values: NDArray[np.float64],
        failures: dict[int, str],
    ) -> NDArray[np.int64]:
        """Ask each suspect alone; who answers is none any more. Returns the rows of the others."""
        assert self._watchdog is not None
        every = ANY_ROW in suspects
        chosen = members if every else members[np.isin(model[members], np.fromiter(suspects, np.int32, len(suspects)))]
        answered = np.unique(model[chosen]).tolist()
        with self._watchdog.one_suspect:
            for one in answered:
                self._ask(shard, rows, model, chosen[model[chosen] == one], values, failures)
        if answered:
            self._watchdog.denylist.clear(shard.file.sha256, [*answered, ANY_ROW] if every else answered)
        return np.setdiff1d(members, chosen)

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
                values[part] = self._ask_once(shard, rows if len(part) == len(model) else rows.take(part), model[part])
            except Exception as error:  # a family's code may raise anything; one row must not take the others with it
                if len(part) > 1:
                    parts += [part[: len(part) // 2], part[len(part) // 2 :]]
                    continue
                failures[int(part[0])] = f"the model failed: {type(error).__name__}: {error}"
                self._raised[shard.file.sha256].add(int(model[part[0]]))

    def _ask_once(self, shard: Shard, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        if self._watchdog is None:
            return ask(shard, rows, model)
        with self._watchdog.watching(self._generation, shard, model):
            return ask(shard, rows, model)

    def _count(self, shard: Shard, row: int, reason: str) -> None:
        key = (shard.file.sha256, row)
        with self._lock:
            self._rows += 1
            before = self._failed.get(key)
            entity = before.entity if before else shard.entity(row)
            self._failed[key] = FailingModel(entity=entity, rows=1 + (before.rows if before else 0), reason=reason)
        if before is None:
            logger.warning("%s: the model of entity '%s' fails: %s", shard.file.path, entity, reason)
