"""What each entity of a shard is to learn, and which entities have nothing to learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.logistic_solver import class_counts
from modelfleet.families.shard_design import entity_of_row
from modelfleet.families.torch_networks import Lessons

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch
    from numpy.typing import NDArray

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard
    from modelfleet.families.shard_design import ShardDesign
    from modelfleet.families.torch_batches import Block


@dataclass(frozen=True)
class Goals:
    """Targets and weights of a shard's rows.

    Attributes:
        target: (n,) class indices, or numbers standardised within each entity.
        weights: (n,) summing to 1 for each entity.
        found: (E, classes) which classes an entity has rows of; (E, 0) for numbers.
        scale: (E, 2) mean and scale of an entity's numbers; 0 and 1 for classes.
        failures: Why an entity cannot be fitted.
    """

    target: NDArray[np.float64]
    weights: NDArray[np.float64]
    found: NDArray[np.bool_]
    scale: NDArray[np.float64]
    failures: Mapping[str, str]

    @classmethod
    def of(cls, design: ShardDesign, shard: TrainingShard, schema: Schema) -> Goals:
        """Return the goals of a shard."""
        entity, entities = entity_of_row(design.bounds), len(shard.entities)
        target = np.asarray(shard.target, dtype=np.float64)
        usable = np.isfinite(target)
        total = np.bincount(entity, weights=design.weights, minlength=entities)
        weights = design.weights / np.where(total > 0, total, 1.0)[entity]
        scale = np.tile([0.0, 1.0], (entities, 1))
        found = class_counts(design, target.astype(np.int64), len(schema.classes)) > 0 if schema.classes else None
        if found is None:
            safe = np.where(usable, target, 0.0)
            mean = np.bincount(entity, weights=weights * safe, minlength=entities)
            spread = np.sqrt(np.bincount(entity, weights=weights * (safe - mean[entity]) ** 2, minlength=entities))
            scale = np.column_stack([mean, np.where(spread > 1e-12 * (1.0 + np.abs(mean)), spread, 1.0)])
            target = (safe - scale[entity, 0]) / scale[entity, 1]
        unusable = np.bincount(entity, weights=~usable, minlength=entities).astype(np.int64)
        failures: dict[str, str] = {}
        for index, (name, rows) in enumerate(zip(shard.entities, np.diff(design.bounds), strict=True)):
            if rows == 0:
                failures[name] = "it has no training rows"
            elif unusable[index]:
                failures[name] = f"{unusable[index]} of its {rows} training targets are not finite numbers"
            elif not total[index] > 0:
                failures[name] = f"the weights of its {rows} training rows sum to zero"
            elif found is not None and found[index].sum() < 2:
                only = schema.classes[int(found[index].argmax())]
                failures[name] = f"all {rows} training rows are of class '{only}'; a network needs two classes"
        return cls(target, weights, np.zeros((entities, 0), bool) if found is None else found, scale, failures)

    def lessons(
        self, x: NDArray[np.float32], block: Block, entities: NDArray[np.int64], device: torch.device
    ) -> Lessons:
        """Return what a block of entities is to learn.

        Args:
            x: Its columns.
            block: Whose units are places in ``entities``.
            entities: Of the shard.
            device: Where it is learnt.
        """
        import torch

        units, shape = entities[block.units], (len(block.units), block.length)
        weights = np.zeros(shape, dtype=np.float32)
        weights.reshape(-1)[block.at] = self.weights[block.row]
        absent = None
        if self.found.shape[1]:
            # padding has the first class there is, since the loss of an absent one would be infinite
            y = np.repeat(self.found[units].argmax(axis=1), block.length).reshape(shape)
            absent = torch.from_numpy(~self.found[units])[:, None, :].to(device)
        else:
            y = np.zeros(shape, dtype=np.float32)
        y.reshape(-1)[block.at] = self.target[block.row]
        columns, target, share = (torch.from_numpy(part).to(device) for part in (x, y, weights))
        return Lessons(columns, target, share, absent)
