"""Networks ready to predict, many models in each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from modelfleet.families.columns import fixed, found_places
from modelfleet.families.design import Standard
from modelfleet.families.torch_batches import Block, blocks, columns_of
from modelfleet.families.torch_training import one_thread

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from modelfleet.data.encoded import EncodedRows
    from modelfleet.data.schema import Schema
    from modelfleet.families.design import Layout
    from modelfleet.families.torch_networks import Network

MOST_ROWS = 1024
"""Rows of one model in one step; a model with more takes several units."""

MOST_CELLS = 2**22
"""Most numbers in the inputs, or in the weights, of one step."""


class TorchPredictor:
    """Networks ready to predict."""

    def __init__(
        self, models: pa.Table, layout: Layout, schema: Schema, network: Network, device: torch.device
    ) -> None:
        """Take the models of a table.

        Raises:
            BundleError: The table is not one this family wrote for this schema.
        """
        self._layout, self._network, self._device = layout, network, device
        self._classes = len(schema.classes)
        self._standard = Standard(
            fixed(models, "mean", layout.numbers, "torch"), fixed(models, "scale", layout.numbers, "torch")
        )
        self._seen = found_places(models, "levels", layout.levels, "torch")
        self._found = found_places(models, "classes", self._classes, "torch")
        self._target = fixed(models, "target", 2, "torch")
        self._stored = fixed(models, "weights", network.size, "torch", pa.float32())

    def predict(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        """Return probabilities (n, classes), or numbers (n, 1)."""
        order = np.argsort(model, kind="stable")
        result = np.zeros((len(rows), self._classes or 1))
        result[order] = self._predict_sorted(rows.take(order), model[order])
        return result

    def _predict_sorted(self, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
        numbers = self._standard.apply(rows.numbers, model)
        result = np.zeros((len(rows), self._classes or 1))
        place = np.arange(len(model)) - np.searchsorted(model, model)
        first = np.flatnonzero(place % MOST_ROWS == 0)
        sizes = np.diff(np.append(first, len(model)))
        most = MOST_CELLS // max(self._network.size, 1)
        cells = MOST_CELLS // max(self._network.columns, 1)
        length = 2 ** np.ceil(np.log2(np.maximum(sizes, 1))).astype(np.int64)
        for block in blocks(first, sizes, length, max(1, most), cells):
            seen = self._seen[model[block.row]]
            x = columns_of(self._layout, rows.codes, numbers, block, seen, self._network.columns)
            scores = self._scores(x, self._stored[model[first[block.units]]], block)
            result[block.row] = self._finished(scores, model[block.row])
        return result

    def _scores(self, x: NDArray[np.float32], stored: NDArray[np.float32], block: Block) -> NDArray[np.float64]:
        """Return the scores of the block's rows (k, outputs)."""
        import torch

        kind = torch.float64 if self._network.precise else torch.float32
        with one_thread(), torch.inference_mode():
            weights = [
                tensor.to(kind) if tensor.is_floating_point() else tensor
                for part in self._network.unpack(stored)
                for tensor in [torch.from_numpy(part).to(self._device)]
            ]
            scores = self._network.scores(weights, torch.from_numpy(x).to(self._device, kind))
            flat = scores.reshape(-1, scores.shape[-1])[:, : self._classes or 1]
            return np.asarray(flat.numpy(force=True)[block.at], dtype=np.float64)

    def _finished(self, scores: NDArray[np.float64], model: NDArray[np.int32]) -> NDArray[np.float64]:
        if not self._classes:
            mean, scale = self._target[model, 0], self._target[model, 1]
            return np.asarray(scores[:, 0] * scale + mean)[:, None]
        scores = np.where(self._found[model], scores, -np.inf)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return probabilities
