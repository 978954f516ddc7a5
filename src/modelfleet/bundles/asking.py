"""Asking the models of a file, or of a block of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from modelfleet.errors import BundleError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from modelfleet.bundles.shard_memory import Shard
    from modelfleet.data.encoded import EncodedRows


class Asking(Protocol):
    """How the models of one file are asked, for a caller that no model may stop."""

    def __call__(
        self, shard: Shard, rows: EncodedRows, model: NDArray[np.int32]
    ) -> tuple[NDArray[np.float64], dict[int, str]]:
        """Predict n rows, each by one of the file's models; see ``ask``.

        Returns:
            (n, outputs of the file) predictions, and why a row has none, by position.
        """
        ...


def ask(shard: Shard, rows: EncodedRows, model: NDArray[np.int32]) -> NDArray[np.float64]:
    """Predict n rows by the models of a file, or of a block of one.

    Args:
        shard: The file.
        rows: n rows, encoded by its schema.
        model: (n,) int32, the row of each one's model in the file.

    Raises:
        BundleError: The family returned something of another shape than (n, outputs of the schema).
    """
    found = shard.predictor.predict(rows, model - shard.first if shard.first else model)
    expected = (len(model), shard.schema.outputs)
    if found.shape != expected:
        raise BundleError(
            f"{shard.file.path}: family '{shard.file.family}' returned predictions of shape {found.shape}, "
            f"expected {expected}"
        )
    return found
