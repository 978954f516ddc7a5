"""The family `torch`: a neural network per entity, many entities in each step."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from modelfleet.errors import MissingExtraError
from modelfleet.families.base import ENTITY, Fitted
from modelfleet.families.columns import lists, places, strings
from modelfleet.families.design import Layout
from modelfleet.families.parameters import check_parameters, check_task
from modelfleet.families.shard_design import ShardDesign
from modelfleet.families.torch_batches import blocks, columns_of, length_of
from modelfleet.families.torch_goals import Goals
from modelfleet.families.torch_mlp import Mlp
from modelfleet.families.torch_networks import UserModule
from modelfleet.families.torch_predicting import TorchPredictor
from modelfleet.families.torch_training import Trainer, device_of
from modelfleet.families.trusted_modules import import_class
from modelfleet.spec.fleet import Task
from modelfleet.spec.section import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

    from modelfleet.data.schema import Schema
    from modelfleet.families.base import TrainingShard
    from modelfleet.families.torch_networks import Network

MOST_CELLS = {"cpu": 2**24, "cuda": 2**28}
"""Most numbers in the inputs of one batch, by device: 64 MB, 1 GB."""

ENTITIES = {"cpu": 64, "cuda": 1024}
"""Entities per step where the spec does not say: on a CPU more no longer fit its cache."""


class TorchParameters(Section):
    """Parameters of the family.

    Attributes:
        hidden: Widths of the hidden layers; an empty list is a linear model.
        activation: What follows each hidden layer.
        module: Import path of a ``torch.nn.Module`` used instead, such as ``mypackage.nets:Net``. It is made by
            ``Net(inputs, outputs)``, takes rows (n, inputs) and returns scores (n, outputs): one per class, or one
            number.
        trusted_modules: Modules, or packages, whose code may be imported for it.
        epochs: Steps of training; each sees all rows of an entity.
        learning_rate: Adam's step size.
        weight_decay: Share by which a step shrinks the weights, times the learning rate (AdamW).
        device: Where it is computed; ``auto`` is ``cuda`` where there is one.
        entities_per_step: Entities trained side by side; absent means 64 on a CPU, 1024 on a GPU.
    """

    hidden: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = (32,)
    activation: Literal["relu", "tanh"] = "relu"
    module: str | None = None
    trusted_modules: tuple[str, ...] = ()
    epochs: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=0.01, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.01, ge=0, allow_inf_nan=False)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    entities_per_step: int | None = Field(default=None, ge=1)


class TorchFamily:
    """Networks on one-hot levels and standardised numbers; a missing number counts as the mean.

    Levels are those the entity's training rows have ("missing" is one of them); any other adds nothing. Every entity
    starts from the same weights, drawn by the seed. What is stored are the weights, as plain numbers.
    """

    name: ClassVar[str] = "torch"
    tasks: ClassVar[frozenset[Task]] = frozenset(Task)

    def __init__(self, schema: Schema, parameters: Mapping[str, object], seed: int = 0) -> None:
        """Check the parameters, a module's import path included.

        Raises:
            SpecError: A parameter is wrong, or the module is not trusted, not installed, or no ``torch.nn.Module``.
            MissingExtraError: torch is not installed.
        """
        check_task(self.name, self.tasks, schema.task)
        self._parameters = check_parameters(self.name, TorchParameters, parameters)
        if find_spec("torch") is None:
            raise MissingExtraError("torch", "torch")
        self._schema, self._seed = schema, seed
        self._layout = Layout.of(schema)
        self._network = self._make_network()

    def _make_network(self) -> Network:
        chosen, width, outputs = self._parameters, self._layout.width, self._schema.outputs
        if chosen.module is None:
            return Mlp(width, chosen.hidden, outputs, chosen.activation, self._seed)
        from torch.nn import Module

        kind = import_class(chosen.module, chosen.trusted_modules, Module, "model.parameters.module")
        return UserModule(kind, width, outputs, self._seed)

    def fit(self, shard: TrainingShard) -> Fitted:
        """Fit one network per entity; one whose rows have one class only, or whose training diverges, is a failure.

        Raises:
            SpecError: The spec asks for ``cuda`` and there is none.
        """
        device = device_of(self._parameters.device, strict=True)
        chosen = self._parameters
        trainer = Trainer(chosen.epochs, chosen.learning_rate, chosen.weight_decay, self._seed, device)
        design = ShardDesign.of(self._layout, shard)
        seen = design.seen()
        goals = Goals.of(design, shard, self._schema)
        sizes = np.diff(design.bounds)
        failures = dict(goals.failures)
        able = np.array([index for index, entity in enumerate(shard.entities) if entity not in failures], dtype=int)
        stored = np.zeros((len(able), self._network.size), dtype=np.float32)
        most = chosen.entities_per_step or ENTITIES[device.type]
        length = length_of(sizes[able]) if self._network.batched else sizes[able]
        cells = MOST_CELLS[device.type] // max(self._network.columns, 1)
        most = most if self._network.batched else 1
        for block in blocks(design.bounds[:-1][able], sizes[able], length, most, cells):
            x = columns_of(self._layout, design.codes, design.numbers[:, :-1], block, None, self._network.columns)
            stored[block.units] = trainer.train(self._network, goals.lessons(x, block, able, device))
        sound = np.isfinite(stored).all(axis=1)
        for index in able[~sound]:
            failures[shard.entities[index]] = (
                f"training diverged on its {sizes[index]} training rows; lower model.parameters.learning_rate"
            )
        kept = able[sound]
        models = {
            ENTITY: strings([shard.entities[index] for index in kept]),
            "mean": lists(design.standard.mean[kept]),
            "scale": lists(design.standard.scale[kept]),
            "levels": places(seen[kept]),
            "classes": places(goals.found[kept]),
            "target": lists(goals.scale[kept]),
            "weights": lists(stored[sound]),
        }
        return Fitted(pa.table(models), {entity: failures[entity] for entity in shard.entities if entity in failures})

    def load(self, models: pa.Table) -> TorchPredictor:
        """Make models ready to predict; imports nothing that was not imported for this family already.

        Raises:
            BundleError: The table is not one this family wrote for this schema.
        """
        device = device_of(self._parameters.device, strict=False)
        return TorchPredictor(models, self._layout, self._schema, self._network, device)
