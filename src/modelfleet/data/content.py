"""Hashes of texts and of whole rows, for many rows at once: the same in every run, on every machine, in any order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_NOTHING = np.uint64(0x2545F4914F6CDD1D)
_SHORT = 32
"""Longest text, in bytes, that is hashed together with all others of a column, byte position by byte position."""


def seed_of(text: str) -> np.uint64:
    """Return 64 well mixed bits for a name or a salt."""
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


def mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread (n,) uint64 so that every input bit changes every output bit (the finaliser of splitmix64)."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))


def hash_texts(texts: pa.Array) -> NDArray[np.uint64]:
    """Return the hash of each text, (n,) uint64; null and the empty text hash alike.

    A polynomial over the text's bytes, each byte first spread over 64 bits, modulo 2^64: no loop over texts.
    """
    binary = pc.fill_null(texts, "").cast(pa.large_binary())
    n = len(binary)
    if n == 0:
        return np.zeros(0, np.uint64)
    _, offset_buffer, data = binary.buffers()
    offsets = np.frombuffer(offset_buffer, np.int64)[binary.offset : binary.offset + n + 1]
    lengths = np.diff(offsets)
    filled = np.flatnonzero(lengths)
    result = np.full(n, _NOTHING, np.uint64)
    if len(filled):
        first, last = int(offsets[0]), int(offsets[-1])
        content = np.frombuffer(data, np.uint8)[first:last]
        starts = offsets[:-1][filled] - first
        sums = _sums if int(lengths.max()) <= _SHORT else _long_sums
        result[filled] = sums(content, starts, lengths[filled]) ^ lengths[filled].astype(np.uint64)
    return mixed(result)


def _sums(content: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the polynomial of each text, byte position by byte position: what is quickest for short texts.

    Args:
        content: The texts' bytes, one text after the other.
        starts: (n,) where each begins.
        lengths: (n,) bytes of each, at least 1.
    """
    factors = _powers(int(lengths.max()))
    sums: NDArray[np.uint64] = _BYTES[content[starts]] * factors[0]
    for position in range(1, len(factors)):
        terms = _BYTES[content.take(starts + position, mode="clip")]
        terms *= factors[position]
        terms *= lengths > position  # nothing where the text has ended
        sums += terms
    return sums


def _long_sums(content: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return what ``_sums`` does, byte by byte whatever the length."""
    position = np.arange(len(content)) - np.repeat(starts, lengths)
    sums: NDArray[np.uint64] = np.add.reduceat(_BYTES[content] * _powers(int(lengths.max()))[position], starts)
    return sums


def hash_rows(columns: Mapping[str, pa.DictionaryArray]) -> NDArray[np.uint64]:
    """Return the hash of each row's whole content, (n,) uint64.

    The order of the columns does not matter; their names do.

    Args:
        columns: n texts per column (``modelfleet.data.text.as_text``); at least one column.
    """
    total: NDArray[np.uint64] | None = None
    for name, column in columns.items():
        hashes = hash_texts(column.dictionary)
        indices = column.indices
        if indices.null_count:
            hashes = np.append(hashes, mixed(np.array([_NOTHING])))
            indices = pc.fill_null(indices, len(hashes) - 1)
        part = mixed(hashes ^ seed_of(name))[indices.to_numpy()]
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    return mixed(total)


def _powers(longest: int) -> NDArray[np.uint64]:
    """Return the factor's powers 1, 2, ... modulo 2^64."""
    return np.multiply.accumulate(np.full(longest, _FACTOR, np.uint64))


_BYTES = mixed(np.arange(1, 257, dtype=np.uint64) * _FACTOR)
