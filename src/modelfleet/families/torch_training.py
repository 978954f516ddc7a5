"""Training the networks of many entities in the same steps, on the device chosen."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from modelfleet.errors import SpecError
from modelfleet.families.torch_networks import own_draws

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from modelfleet.families.torch_networks import Lessons, Network

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
        with one_thread(), own_draws(self.seed) if not network.batched else nullcontext(), torch.no_grad():
            weights = [tensor.to(self.device).expand(count, *tensor.shape).contiguous() for tensor in network.start()]
            set_slopes = network.slopes(weights, lessons)
            adam = torch.optim.AdamW(
                weights[: network.trained], lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
            )
            for _ in range(self.epochs):
                set_slopes()
                adam.step()
            return network.pack([tensor.detach() for tensor in weights])
