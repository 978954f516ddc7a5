"""Matrices as columns of lists, for tables on their way between workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


def from_matrix(matrix: NDArray[Any]) -> pa.Array:
    """Return an (n, width) matrix as a column of n lists; the width may be 0."""
    offsets = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.ascontiguousarray(matrix).ravel()))


def to_matrix(column: pa.ChunkedArray, width: int, dtype: Any) -> NDArray[Any]:
    """Return a column that ``from_matrix`` made as an (n, width) matrix."""
    flat = [chunk.flatten().to_numpy(zero_copy_only=False) for chunk in column.chunks]
    values = np.concatenate(flat) if flat else np.empty(0)
    return values.astype(dtype, copy=False).reshape(len(column), width)
