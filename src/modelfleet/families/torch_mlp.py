"""Fully connected networks of many entities at once, by batched products and back-propagation written out.

torch's own differentiation makes new tensors at every step; here all are made once per batch, which halves the time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from numpy.typing import NDArray

    from modelfleet.families.torch_networks import Lessons

STRIDE = 16
"""Widths are padded to multiples of it. Every matrix then begins at a multiple of 64 bytes, without which a product's
last bits would depend on where in a batch an entity stands; and odd widths are slow."""


def padded(width: int) -> int:
    """Return the next multiple of ``STRIDE``."""
    return -(-width // STRIDE) * STRIDE


class Mlp:
    """Fully connected layers. What is padded stays 0: each activation leaves 0 as it is, so its gradient is 0 too."""

    batched = True
    precise = True

    def __init__(self, inputs: int, hidden: Sequence[int], outputs: int, activation: str, seed: int) -> None:
        """Take the widths; ``activation`` is ``relu`` or ``tanh``."""
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

    def scores(self, weights: Sequence[torch.Tensor], x: torch.Tensor) -> torch.Tensor:
        """Return scores (entities, rows, padded outputs)."""
        import torch

        for layer in range(0, len(weights), 2):
            x = torch.baddbmm(weights[layer + 1], x, weights[layer])
            if layer + 2 < len(weights):
                x = x.relu_() if self._activation == "relu" else x.tanh_()
        return x

    def slopes(self, weights: Sequence[torch.Tensor], lessons: Lessons) -> Callable[[], None]:
        """Return what sets the gradients, by back-propagation into tensors that are made once."""
        return MlpSlopes(weights, lessons, self._activation).set

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


class MlpSlopes:
    """The gradients of a batch of entities, and the room to compute them in."""

    def __init__(self, weights: Sequence[torch.Tensor], lessons: Lessons, activation: str) -> None:
        import torch

        self._weights, self._lessons, self._relu = weights, lessons, activation == "relu"
        shape = lessons.x.shape[:2]
        like = {"dtype": lessons.x.dtype, "device": lessons.x.device}
        # what each layer puts out, and the loss's gradient by it
        self._out = [torch.zeros(*shape, weight.shape[-1], **like) for weight in weights[::2]]
        self._back = [torch.zeros_like(out) for out in self._out]
        self._alive = [torch.zeros_like(out) for out in self._out[:-1]]
        for weight in weights:
            weight.grad = torch.zeros_like(weight)
        self._share = lessons.weights[:, None, :]
        self._own = self._absent = None
        if lessons.absent is not None:
            # classes before rows, as a softmax over neighbouring numbers is ten times slower
            own = torch.nn.functional.one_hot(lessons.y, lessons.absent.shape[-1]).transpose(1, 2)
            self._own, self._absent = own * self._share, lessons.absent.transpose(1, 2)

    def set(self) -> None:
        """Set every weight's ``grad``."""
        import torch

        weights, out, back = self._weights, self._out, self._back
        last = len(out) - 1
        for layer in range(last + 1):
            x = out[layer - 1] if layer else self._lessons.x
            torch.baddbmm(weights[2 * layer + 1], x, weights[2 * layer], out=out[layer])
            if layer < last:
                out[layer].relu_() if self._relu else out[layer].tanh_()
        self._begin(out[last], back[last])
        for layer in range(last, -1, -1):
            x = out[layer - 1] if layer else self._lessons.x
            torch.bmm(x.transpose(1, 2), back[layer], out=weights[2 * layer].grad)
            torch.sum(back[layer], dim=1, keepdim=True, out=weights[2 * layer + 1].grad)
            if layer:
                torch.bmm(back[layer], weights[2 * layer].transpose(1, 2), out=back[layer - 1])
                if self._relu:
                    back[layer - 1].mul_(torch.sign(x, out=self._alive[layer - 1]))
                else:
                    back[layer - 1].addcmul_(back[layer - 1] * x, x, value=-1)

    def _begin(self, scores: torch.Tensor, back: torch.Tensor) -> None:
        """Set ``back`` to the loss's gradient by the scores; padded scores have none."""
        import torch

        if self._own is None:
            back[..., 0] = 2 * self._lessons.weights * (scores[..., 0] - self._lessons.y)
            return
        classes = self._own.shape[1]
        allowed = scores[..., :classes].transpose(1, 2).contiguous().masked_fill_(self._absent, float("-inf"))
        back[..., :classes] = (torch.softmax(allowed, dim=1) * self._share - self._own).transpose(1, 2)
