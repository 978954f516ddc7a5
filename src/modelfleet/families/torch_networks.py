"""A user's network for many entities at once, and what any network of family `torch` does.

Weights and inputs carry the entity as their first index.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from modelfleet.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import torch
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

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

    def scores(self, weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return scores (entities, rows, outputs or more) of inputs (entities, rows, columns), to predict."""
        ...

    def slopes(self, weights: Sequence[torch.Tensor], lessons: Lessons) -> Callable[[], None]:
        """Return what sets the gradient of each trained tensor, of every entity's loss by its own weights."""
        ...

    def pack(self, weights: Sequence[torch.Tensor]) -> NDArray[np.float32]:
        """Return weights as they are stored (entities, size)."""
        ...

    def unpack(self, stored: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Return what ``pack`` was given, as arrays."""
        ...


@dataclass(frozen=True)
class Lessons:
    """What a batch of entities is to learn, on the device where it is computed.

    Attributes:
        x: (entities, rows, columns) float32.
        y: (entities, rows) int64 class indices, or float32 standardised numbers; anything valid in padding.
        weights: (entities, rows) float32, summing to 1 for each entity; 0 in padding.
        absent: (entities, 1, classes) bool, classes an entity has no rows of; None for numbers.
    """

    x: torch.Tensor
    y: torch.Tensor
    weights: torch.Tensor
    absent: torch.Tensor | None


def loss(scores: torch.Tensor, lessons: Lessons) -> torch.Tensor:
    """Return the sum over entities of the weighted mean log loss, or of the squared error."""
    import torch

    if lessons.absent is None:
        return (lessons.weights * (scores[..., 0] - lessons.y) ** 2).sum()
    allowed = scores[..., : lessons.absent.shape[-1]].masked_fill(lessons.absent, float("-inf"))
    own = torch.log_softmax(allowed, dim=-1).gather(-1, lessons.y[..., None])[..., 0]
    return -(lessons.weights * own).sum()


@dataclass
class UserModule:
    """A user's ``torch.nn.Module``, made by ``kind(inputs, outputs)``; its state is what an entity has of its own."""

    kind: type[Any]
    inputs: int
    outputs: int
    seed: int
    precise = False

    def __post_init__(self) -> None:
        try:
            with own_draws(self.seed):
                module = self.kind(self.inputs, self.outputs).float()
        except Exception as error:  # whatever the user's constructor raises
            raise SpecError(
                f"model.parameters.module: {self.kind.__name__} cannot be made with ({self.inputs}, {self.outputs}), "
                f"numbers of inputs and outputs: {error}"
            ) from error
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

    def scores(self, weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return scores (entities, rows, outputs)."""
        return self._forward(weights, x, training=False)

    def slopes(self, weights: Sequence[torch.Tensor], lessons: Lessons) -> Callable[[], None]:
        """Return what sets the gradients, by torch's own differentiation."""
        import torch

        trained = [tensor.requires_grad_(True) for tensor in weights[: self.trained]]

        def set_slopes() -> None:
            for tensor in trained:
                tensor.grad = None
            with torch.enable_grad():
                # one entity's loss does not depend on another's weights, so the sum's gradient is each one's own
                loss(self._forward(weights, lessons.x, training=True), lessons).backward()

        return set_slopes

    def _forward(self, weights: Sequence[torch.Tensor], x: torch.Tensor, training: bool) -> torch.Tensor:
        """Return scores; a module that cannot be batched is called per entity."""
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
