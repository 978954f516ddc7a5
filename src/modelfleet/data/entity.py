"""The key of an entity, and the shard it belongs to. Entities are data: any text is one, of any length."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from modelfleet.data.text import BLANKS, TEXT, as_text, text_of
from modelfleet.data.typed import is_missing, type_column
from modelfleet.errors import DataError, nearest
from modelfleet.spec.data import ColumnType

if TYPE_CHECKING:
    from modelfleet.data.schema import Schema

EMPTY = ""
"""The key of a row that belongs to no entity: no key column may be empty."""

_SEPARATOR = "|"
_ESCAPE = "\\"


def entity_key(values: Sequence[object], missing: Collection[str] = ()) -> str:
    r"""Return the key of one row.

    Args:
        values: The row's key columns, in the spec's order.
        missing: Texts that mean "no value".

    Returns:
        The text of the only key column; of several, their texts joined by ``|`` (a ``|`` or ``\`` inside them is
        escaped, so different values never share a key). ``EMPTY`` where one of them has no value.
    """
    texts = [text_of(value) for value in values]
    if any(text == EMPTY or text in missing for text in texts):
        return EMPTY
    if len(texts) == 1:
        return texts[0]
    return _SEPARATOR.join(
        text.replace(_ESCAPE, _ESCAPE + _ESCAPE).replace(_SEPARATOR, _ESCAPE + _SEPARATOR) for text in texts
    )


def entity_keys(columns: Sequence[pa.DictionaryArray], missing: Collection[str] = ()) -> pa.DictionaryArray:
    """Return the keys of n rows, as ``entity_key`` would.

    Args:
        columns: The key columns as texts (``modelfleet.data.text.as_text``).
        missing: Texts that mean "no value".

    Returns:
        n keys of type ``TEXT``; null where a row belongs to no entity.
    """
    if len(columns) == 1:
        return type_column(columns[0], ColumnType.CATEGORY, missing).coded
    parts = []
    for column in columns:
        texts = column.dictionary
        texts = pc.if_else(is_missing(texts, missing), pa.scalar(None, pa.string()), texts)
        texts = pc.replace_substring(texts, _ESCAPE, _ESCAPE + _ESCAPE)
        texts = pc.replace_substring(texts, _SEPARATOR, _ESCAPE + _SEPARATOR)
        parts.append(texts.take(column.indices))
    keys = pc.binary_join_element_wise(*parts, _SEPARATOR)
    return keys.dictionary_encode().cast(TEXT)


def plain_entities(values: Sequence[object], missing: Collection[str] = ()) -> list[str] | None:
    """Return the keys of n rows by their only key column, as ``entity_key`` would, if all are plain texts.

    Returns:
        The keys; None where a value is no text or means "no value", and nothing is said of any.
    """
    if not set(map(type, values)) <= {str}:
        return None
    keys = [str(value).strip(BLANKS) for value in values]
    return None if not {EMPTY, *missing}.isdisjoint(keys) else keys


def table_entities(schema: Schema, table: pa.Table) -> pa.DictionaryArray:
    """Return the keys of a table's n rows; null where a row belongs to no entity.

    Raises:
        DataError: A key column is not there.
    """
    for column in schema.entity:
        if column not in table.column_names:
            hint = nearest(column, table.column_names)
            raise DataError(f"the rows have no column '{column}', which says whose a row is{hint}")
    return entity_keys([as_text(table[column]) for column in schema.entity], schema.missing)


def shard_of(entity: str, shards: int) -> int:
    """Return the shard of an entity, in [0, shards): the same on every machine and in every run."""
    digest = hashlib.blake2b(entity.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") % shards


def shards_of(entities: Sequence[str], shards: int) -> NDArray[np.int32]:
    """Return the shards of some entities, (n,) int32."""
    return np.fromiter((_known_shard(entity, shards) for entity in entities), np.int32, len(entities))


_known_shard = lru_cache(maxsize=1 << 17)(shard_of)
"""Every batch asks for nearly the same entities."""
