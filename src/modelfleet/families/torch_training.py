"""Training the networks of many entities in the same steps, on the device chosen."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.errors import SpecError
from modelfleet.families.torch_networks import own_draws

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch
    from numpy.typing import NDArray

    from modelfleet.families.torch_networks import Network

_THREADS = Lock()
_inside: list[int] = []


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on this thread alone: shards run side by side, and a product split among threads may differ."""
    import torch

    with _THREADS:
        _inside.append(torch.get_num_threads() if not _inside else _inside[0])
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _THREADS:
            before = _inside.pop()
            if not _inside:
                torch.set_num_threads(before)


def device_of(wanted: str, strict: bool) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``.

    Args:
        wanted: ``auto`` is cuda where there is one.
        strict: Whether ``cuda`` without a CUDA device is an error; if not, it is the CPU.

    Raises:
        SpecError: There is no CUDA device and ``strict``.
    """
    import torch

    there = torch.cuda.is_available()
    if wanted == "cuda" and strict and not there:
        raise SpecError("model.parameters.device: is 'cuda', but torch finds no CUDA device here; use 'auto' or 'cpu'")
    return torch.device("cuda" if there and wanted != "cpu" else "cpu")


@dataclass(frozen=True)
class Lessons:
    """What a batch of entities is to learn.

    Attributes:
        x: (entities, rows, columns).
        y: (entities, rows) class indices, or standardised numbers; anything valid in padding.
        weights: (entities, rows), summing to 1 for each entity; 0 in padding.
        absent: (entities, outputs) classes an entity has no rows of; None for numbers.
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64] | NDArray[np.float32]
    weights: NDArray[np.float32]
    absent: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Trainer:
    """How networks are trained: full batches, Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    Attributes:
        epochs: Steps; each sees every row once.
        learning_rate: Step size.
        weight_decay: Share by which each step shrinks the weights, in units of the learning rate.
        seed: Seed of what a user's module draws while it is trained.
        device: Where it is computed.
    """

    epochs: int
    learning_rate: float
    weight_decay: float
    seed: int
    device: torch.device

    def train(self, network: Network, lessons: Lessons) -> NDArray[np.float32]:
        """Return each entity's weights as they are stored (entities, size)."""
        import torch

        count = len(lessons.x)
        with one_thread(), own_draws(self.seed) if not network.batched else nullcontext():
            weights = [
                tensor.to(self.device).expand(count, *tensor.shape).contiguous().requires_grad_(place < network.trained)
                for place, tensor in enumerate(network.start())
            ]
            x, y, share = (torch.from_numpy(part).to(self.device) for part in (lessons.x, lessons.y, lessons.weights))
            mask = None if lessons.absent is None else torch.from_numpy(lessons.absent).to(self.device)[:, None, :]
            adam = torch.optim.AdamW(
                weights[: network.trained], lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
            )
            with torch.enable_grad():
                for _ in range(self.epochs):
                    adam.zero_grad(set_to_none=True)
                    # one entity's loss does not depend on another's weights, so the sum's gradient is each one's own
                    loss(network.forward(weights, x, training=True), y, share, mask).backward()
                    adam.step()
            return network.pack([tensor.detach() for tensor in weights])


def loss(
    scores: torch.Tensor, y: torch.Tensor, weights: torch.Tensor, absent: torch.Tensor | None
) -> torch.Tensor:
    """Return the sum over entities of the weighted mean log loss, or squared error where ``absent`` is None."""
    import torch

    if absent is None:
        return (weights * (scores[..., 0] - y) ** 2).sum()
    logs = torch.log_softmax(scores[..., : absent.shape[-1]].masked_fill(absent, float("-inf")), dim=-1)
    return -(weights * logs.gather(-1, y[..., None])[..., 0]).sum()
