"""The text of a value: what it looks like in a data file, equal for a CSV file, a Parquet file and a request.

Everything that must mean the same wherever a row comes from goes by this text: entities, classes, category levels,
ids and the content hash.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BLANKS = " \t\r\n\f\v\u00a0\u2007\u202f\ufeff"
"""Characters trimmed from both ends of every text. Listed, so that Python and Arrow trim the same ones."""

TEXT = pa.dictionary(pa.int32(), pa.string())
"""Type of a column of texts: each distinct one is stored, trimmed, typed and hashed once."""

_WHOLE = 1e15
"""Floats below this that have no fraction are written as integers: pandas turns integers with gaps into floats."""


def text_of(value: object) -> str:  # noqa: PLR0911 - one type per return
    """Return the text of one value; the empty text where there is none (None, NaN)."""
    if isinstance(value, str):
        return value.strip(BLANKS)
    if value is None:
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        number = float(value)
        if math.isnan(number):
            return ""
        if abs(number) < _WHOLE and number == math.floor(number):
            return str(int(number))
        return str(pa.scalar(number, pa.float64()).cast(pa.string()).as_py())
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return str(value).strip(BLANKS)


def as_text(values: pa.Array | pa.ChunkedArray) -> pa.DictionaryArray:
    """Return a column as trimmed texts, whatever its type.

    Args:
        values: n values.

    Returns:
        n texts of type ``TEXT`` with no text twice in the dictionary; null where the value is null (or NaN).
    """
    return texts_and_values(values)[0]


def texts_and_values(values: pa.Array | pa.ChunkedArray) -> tuple[pa.DictionaryArray, pa.Array]:
    """Return a column as texts, and what each distinct text stands for.

    Args:
        values: n values.

    Returns:
        The texts, as ``as_text`` says; and for each text of their dictionary one of the values that have it.
    """
    if isinstance(values, pa.ChunkedArray):
        if pa.types.is_dictionary(values.type):
            values = values.unify_dictionaries()
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):  # no chunk at all
            values = pa.array([], values.type)
    if pa.types.is_integer(values.type):  # different numbers have different texts, and none has a blank
        values = values.dictionary_encode()
        texts = values.dictionary.cast(pa.string())
        return pa.DictionaryArray.from_arrays(values.indices, texts), values.dictionary
    if not pa.types.is_dictionary(values.type):
        if pa.types.is_nested(values.type) or pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            values = pa.array([None if v is None else _decoded(v) for v in values.to_pylist()], pa.string())
        values = values.dictionary_encode()
    texts = _trimmed(_texts(values.dictionary))
    indices = values.indices.cast(pa.int32())
    again = texts.dictionary_encode()
    if len(again.dictionary) == len(texts):
        return pa.DictionaryArray.from_arrays(indices, texts), values.dictionary
    # Trimming made some equal, or some are null
    has_text = pc.indices_nonzero(pc.is_valid(again.indices)).to_numpy()
    example = np.empty(len(again.dictionary), np.int64)
    example[again.indices.drop_null().to_numpy()] = has_text
    texts = pa.DictionaryArray.from_arrays(again.indices.take(indices), again.dictionary)
    return texts, values.dictionary.take(pa.array(example))


def _decoded(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else text_of(value)


def _texts(values: pa.Array) -> pa.Array:
    """Return the texts of distinct values; null for NaN."""
    if pa.types.is_string(values.type):
        return values
    if pa.types.is_floating(values.type):
        numbers = values.cast(pa.float64())
        whole = pc.and_(pc.less(pc.abs(numbers), _WHOLE), pc.equal(numbers, pc.floor(numbers)))
        integers = pc.if_else(whole, numbers, 0.0).cast(pa.int64()).cast(pa.string())
        texts = pc.if_else(whole, integers, numbers.cast(pa.string()))
        return pc.if_else(pc.is_nan(numbers), pa.scalar(None, pa.string()), texts)
    return values.cast(pa.string())


def _trimmed(texts: pa.Array) -> pa.Array:
    return pc.utf8_trim(texts, characters=BLANKS)
