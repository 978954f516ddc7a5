"""Columns in few bytes, for rows on their way to their shards: codes as narrow as their dictionary allows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_WIDTHS = ((1 << 7, pa.int8()), (1 << 15, pa.int16()))
"""Entries of a dictionary, and the type of its codes."""

_MOST_NUMBERS = 1 << 9
"""A column with more distinct numbers than this travels as plain numbers: its dictionary would have to be made anew
for every batch and shard."""


def compact(column: pa.DictionaryArray) -> pa.Array:
    """Return the same values in few bytes: with narrow codes, or without codes where numbers are many.

    Args:
        column: n texts or numbers; a null entry of the dictionary is a missing value.
    """
    entries = len(column.dictionary)
    if column.type.value_type != pa.string() and (entries > _MOST_NUMBERS or 4 * entries > len(column)):
        return column.dictionary_decode()
    width = next((codes for most, codes in _WIDTHS if entries <= most), pa.int32())
    if column.type.index_type == width:
        return column
    return pa.DictionaryArray.from_arrays(column.indices.cast(width), column.dictionary)


def used_only(column: pa.DictionaryArray) -> pa.DictionaryArray:
    """Return the same values with a dictionary of those that occur, in the same order, and codes of 32 bits.

    Args:
        column: n values, none null.
    """
    codes = column.indices.to_numpy()
    used = np.zeros(len(column.dictionary), bool)
    used[codes] = True
    kept = np.flatnonzero(used)
    place = np.empty(len(used), np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(place[codes]), column.dictionary.take(pa.array(kept)))


def stack(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of several tables of the same columns, one after the other, in one chunk per column.

    Args:
        parts: At least one; each column in one chunk at most, as ``compact`` returns it or plain.
    """
    filled = [part for part in parts if len(part)] or parts[:1]
    if len(filled) == 1:
        return filled[0]
    names = filled[0].column_names
    return pa.table({name: _stacked([part.column(name).chunk(0) for part in filled]) for name in names})


def _stacked(arrays: list[pa.Array]) -> pa.Array:
    if not all(pa.types.is_dictionary(array.type) for array in arrays):
        return pa.concat_arrays([plain(array) for array in arrays])
    first = arrays[0].dictionary
    if all(array.dictionary.equals(first) for array in arrays[1:]) and len({array.type for array in arrays}) == 1:
        return pa.DictionaryArray.from_arrays(pa.concat_arrays([array.indices for array in arrays]), first)
    known = pa.concat_arrays([array.dictionary for array in arrays]).dictionary_encode()
    by_name = pc.sort_indices(known.dictionary)
    place = np.empty(len(by_name), np.int32)
    place[by_name.to_numpy()] = np.arange(len(by_name), dtype=np.int32)
    places = pa.array(place).take(known.indices)  # null where the dictionary has a null
    codes, begin = [], 0
    for array in arrays:
        codes.append(places.slice(begin, len(array.dictionary)).take(array.indices))
        begin += len(array.dictionary)
    return compact(pa.DictionaryArray.from_arrays(pa.concat_arrays(codes), known.dictionary.take(by_name)))


def plain(column: pa.Array) -> pa.Array:
    """Return the same values as they are stored: numbers without codes, texts by codes of 32 bits.

    The dictionary of texts has those that occur, sorted: equal values are stored alike, whatever way they came.
    """
    if not pa.types.is_dictionary(column.type):
        return column
    if column.type.value_type != pa.string():
        return column.dictionary_decode()
    nothing = len(column.dictionary)
    indices = column.indices
    if indices.null_count:
        indices = pc.fill_null(indices.cast(pa.int32()), nothing)
    codes = indices.to_numpy()
    used = np.zeros(nothing + 1, bool)
    used[codes] = True
    kept = np.flatnonzero(used[:nothing])
    texts = column.dictionary.take(pa.array(kept))
    by_name = pc.sort_indices(texts).to_numpy()
    if len(kept) == nothing and (by_name == np.arange(nothing)).all():  # as it should be, but for the width
        return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), column.dictionary)
    place = np.zeros(nothing + 1, np.int32)
    place[kept[by_name]] = np.arange(len(kept), dtype=np.int32)
    mask = codes == nothing if used[nothing] else None
    return pa.DictionaryArray.from_arrays(pa.array(place[codes], mask=mask), texts.take(pa.array(by_name)))
