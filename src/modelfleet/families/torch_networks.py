"""The networks of family `torch`, each for many entities at once: weights and inputs carry the entity as first index."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

STRIDE = 16
"""Widths are padded to multiples of it. Every matrix then begins at a multiple of 64 bytes, without which a product's
last bits would depend on where in a batch an entity stands; and odd widths are slow."""

_GLOBAL_DRAWS = Lock()
"""Held while torch's global random state is ours, since a user's module draws from it."""


@contextmanager
def own_draws(seed: int) -> Iterator[None]:
    """Let what is drawn from torch's global random state within depend on the seed alone, and on no other thread."""
    import torch

    with _GLOBAL_DRAWS, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


class Network(Protocol):
    """One network, of which every entity has its own weights.

    Attributes:
        size: Numbers stored per entity.
        trained: How many of the tensors, counted from the first, are trained; the others are a module's buffers.
        batched: Whether one call can compute many entities; if not, batches hold one entity and no padding.
        precise: Whether it can compute in float64.
        columns: Width of its inputs, padding included.
    """

    size: int
    trained: int
    batched: bool
    precise: bool
    columns: int

    def start(self) -> list[torch.Tensor]:
        """Return one entity's weights before training, without the first index."""
        ...

    def forward(self, weights: Sequence[torch.Tensor], x: torch.Tensor, training: bool) -> torch.Tensor:
        """Return scores (entities, rows, outputs or more) of inputs (entities, rows, columns)."""
        ...

    def pack(self, weights: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Return weights as they are stored (entities, size)."""
        ...

    def unpack(self, stored: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return what ``pack`` was given, as arrays."""
        ...


def padded(width: int) -> int:
    """Return the next multiple of ``STRIDE``."""
    return -(-width // STRIDE) * STRIDE


class Mlp:
    """Fully connected layers. What is padded stays 0: each activation leaves 0 as it is, so its gradient is 0 too."""

    batched = True
    precise = True

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int, activation: str, seed: int) -> None:
        """Take the widths; ``activation`` is the name of a function of ``torch.nn.functional`` that keeps 0."""
        self._widths = (inputs, *hidden, outputs)
        self._activation = activation
        self._seed = seed
        self._shapes = [shape for a, b in pairwise(self._widths) for shape in ((a, b), (1, b))]
        self.columns = padded(inputs)
        self.size = sum(a * b for a, b in self._shapes)
        self.trained = len(self._shapes)

    def start(self) -> list[torch.Tensor]:
        """Return weights drawn as ``torch.nn.Linear`` draws them, evenly within 1 / sqrt(inputs of the layer)."""
        import torch

        generator = torch.Generator().manual_seed(self._seed)
        weights = []
        for a, b in pairwise(self._widths):
            for rows, room in ((a, padded(a)), (1, 1)):
                whole = torch.zeros(room, padded(b))
                whole[:rows, :b] = (torch.rand((rows, b), generator=generator) * 2 - 1) / max(a, 1) ** 0.5
                weights.append(whole)
        return weights

    def forward(self, weights: Sequence[torch.Tensor], x: torch.Tensor, training: bool) -> torch.Tensor:  # noqa: ARG002
        """Return scores (entities, rows, padded outputs)."""
        import torch

        activate = getattr(torch.nn.functional, self._activation)
        for layer in range(0, len(weights), 2):
            x = torch.baddbmm(weights[layer + 1], x, weights[layer])
            if layer + 2 < len(weights):
                x = activate(x)
        return x

    def pack(self, weights: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Return the weights without their padding (entities, size)."""
        parts = [
            tensor[:, :rows, :columns].reshape(len(tensor), -1)
            for tensor, (rows, columns) in zip(weights, self._shapes, strict=True)
        ]
        return np.concatenate([part.numpy(force=True) for part in parts], axis=1)

    def unpack(self, stored: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return the weights with their padding."""
        weights, at = [], 0
        for place, (rows, columns) in enumerate(self._shapes):
            whole = np.zeros((len(stored), rows if place % 2 else padded(rows), padded(columns)), dtype=np.float32)
            whole[:, :rows, :columns] = stored[:, at : at + rows * columns].reshape(-1, rows, columns)
            weights.append(whole)
            at += rows * columns
        return weights


@dataclass
class UserModule:
    """A user's ``torch.nn.Module``, made by ``kind(inputs, outputs)``; its state is what an entity has of its own."""

    kind: type[Any]
    inputs: int
    outputs: int
    seed: int
    precise = False

    def __post_init__(self) -> None:
        with own_draws(self.seed):
            module = self.kind(self.inputs, self.outputs).float()
        self._learning, self._learnt = module.train(), deepcopy(module).eval()
        self.columns = self.inputs
        trained = {name: tensor.detach() for name, tensor in module.named_parameters()}
        state = {**trained, **dict(module.named_buffers())}
        self._names = list(state)
        self._start = [tensor.clone() for tensor in state.values()]
        self.trained = len(trained)
        self.size = sum(tensor.numel() for tensor in self._start)
        self.batched = self._can_be_batched()

    def _can_be_batched(self) -> bool:
        """Try two entities at once; a row's scores must not depend on the rows beside it, as padding is rows too."""
        import torch

        x = torch.randn((2, 4, self.inputs), generator=torch.Generator().manual_seed(0))
        weights = [torch.stack([tensor, tensor]) for tensor in self._start]
        for tensor in weights[: self.trained]:
            tensor.requires_grad_(True)
        try:
            scores = self._together(weights, x, training=True)
            torch.autograd.grad(scores.sum(), weights[: self.trained], allow_unused=True)
            fewer = self._together(weights, x[:, :2], training=True)
            fault = "" if torch.allclose(scores[:, :2], fewer, atol=1e-4) else "a row's scores depend on other rows"
        except Exception as error:  # a module may do what torch.func cannot follow, and says so in many types
            fault = str(error).strip().partition("\n")[0]
        if fault:
            logger.warning("%s is trained one entity after the other, as it cannot be batched: %s", self.kind, fault)
        return not fault

    def start(self) -> list[torch.Tensor]:
        """Return the state a newly made module has."""
        return [tensor.clone() for tensor in self._start]

    def forward(self, weights: Sequence[torch.Tensor], x: torch.Tensor, training: bool) -> torch.Tensor:
        """Return scores (entities, rows, outputs); a module that cannot be batched is called per entity."""
        import torch

        if self.batched:
            return self._together(weights, x, training)
        module = self._learning if training else self._learnt
        states = [dict(zip(self._names, one, strict=True)) for one in zip(*weights, strict=True)]
        return torch.stack(
            [torch.func.functional_call(module, state, (rows,)) for state, rows in zip(states, x, strict=True)]
        )

    def _together(self, weights: Sequence[torch.Tensor], x: torch.Tensor, training: bool) -> torch.Tensor:
        import torch

        module = self._learning if training else self._learnt

        def one(state: dict[str, torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = torch.func.functional_call(module, state, (rows,))
            return scores

        return torch.func.vmap(one)(dict(zip(self._names, weights, strict=True)), x)

    def pack(self, weights: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Return parameters, then buffers, each flattened (entities, size)."""
        parts = [tensor.float().reshape(len(tensor), -1).numpy(force=True) for tensor in weights]
        return np.concatenate(parts, axis=1) if parts else np.zeros((0, 0), dtype=np.float32)

    def unpack(self, stored: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return them in their shapes and types."""
        weights, at = [], 0
        for tensor in self._start:
            part = stored[:, at : at + tensor.numel()].reshape(len(stored), *tensor.shape)
            weights.append(part.astype(tensor.numpy().dtype))
            at += tensor.numel()
        return weights
