"""Reading the columns of a table of models, which came from a file and is not believed before it is checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from modelfleet.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def strings(values: Sequence[str]) -> pa.Array:
    """Return a string column."""
    return pa.array(list(values), pa.string())


def lists(values: NDArray[np.floating]) -> pa.Array:
    """Return a column with one list of numbers per first index."""
    width = int(np.prod(values.shape[1:]))
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values.ravel()))


def places(found: NDArray[np.bool_]) -> pa.Array:
    """Return a column that lists, per first index, where it is true (int32)."""
    offsets = np.concatenate([[0], np.cumsum(found.sum(axis=1))]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.nonzero(found)[1].astype(np.int32)))


def column(table: pa.Table, name: str, type_: pa.DataType, family: str) -> pa.Array:
    """Return a column as one array without nulls.

    Raises:
        BundleError: There is no such column, it has another type, or it has nulls.
    """
    if name not in table.column_names:
        raise BundleError(f"family '{family}': a table of models has no column '{name}', only {table.column_names}")
    chunked = table.column(name)
    if chunked.type != type_:
        raise BundleError(f"family '{family}': column '{name}' is {chunked.type}, expected {type_}")
    array = chunked.chunk(0) if chunked.num_chunks == 1 else pa.concat_arrays(chunked.chunks or [pa.array([], type_)])
    inner = array.flatten() if pa.types.is_list(type_) else array
    if array.null_count or inner.null_count:
        raise BundleError(f"family '{family}': column '{name}' has nulls")
    return array


def ragged(
    table: pa.Table, name: str, value: pa.DataType, family: str
) -> tuple[NDArray[np.generic], NDArray[np.int64]]:
    """Return a list column as its values, one model's after the other, and each model's bounds (models + 1,).

    Raises:
        BundleError: The column is not a list of that value type, or has nulls.
    """
    array = column(table, name, pa.list_(value), family)
    offsets = array.offsets.to_numpy().astype(np.int64)
    return array.flatten().to_numpy(zero_copy_only=False), offsets - offsets[0]


def found_places(table: pa.Table, name: str, width: int, family: str) -> NDArray[np.bool_]:
    """Return what ``places`` was given, (models, width).

    Raises:
        BundleError: A place is not within the width.
    """
    values, bounds = ragged(table, name, pa.int32(), family)
    at = values.astype(np.int64)
    if len(at) and not 0 <= int(at.min()) <= int(at.max()) < width:
        wrong = int(at.max()) if int(at.max()) >= width else int(at.min())
        raise BundleError(f"family '{family}': column '{name}' holds {wrong}, expected 0 to {width - 1}")
    found = np.zeros((len(bounds) - 1, width), dtype=bool)
    found[np.repeat(np.arange(len(found)), np.diff(bounds)), at] = True
    return found


def fixed(table: pa.Table, name: str, width: int, family: str, value: pa.DataType | None = None) -> NDArray[Any]:
    """Return a column of lists of numbers that all have the same length, (models, width).

    Args:
        table: The models.
        name: The column.
        width: The length.
        family: For the message.
        value: Type of the numbers, which they keep; absent means float64.

    Raises:
        BundleError: Some list has another length.
    """
    values, bounds = ragged(table, name, value or pa.float64(), family)
    lengths = np.diff(bounds)
    if (lengths != width).any():
        wrong = int(lengths[lengths != width][0])
        raise BundleError(f"family '{family}': column '{name}' holds {wrong} numbers for a model, expected {width}")
    return values.reshape(table.num_rows, width)
