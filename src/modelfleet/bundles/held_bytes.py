"""How much memory a loaded model file takes."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import numpy as np
import pyarrow as pa


def held_bytes(*things: object) -> int:
    """Return the bytes of the arrays, tables and texts that some objects hold; what several of them share counts once.

    An object with a number ``nbytes`` of its own (an array, a tensor, a predictor that knows better) is believed, the
    others are looked into. What a library keeps outside Python is not seen unless ``nbytes`` tells of it.
    """
    seen: set[int] = set()
    total = 0
    waiting: list[object] = list(things)
    while waiting:
        thing = waiting.pop()
        if isinstance(thing, np.ndarray):
            while isinstance(thing.base, np.ndarray):
                thing = thing.base
        if id(thing) in seen or thing is None or isinstance(thing, type | type(sys)):
            continue
        seen.add(id(thing))
        if isinstance(thing, pa.Table | pa.ChunkedArray | pa.Array):
            total += _arrow_bytes(thing, seen)
        elif isinstance(thing, np.ndarray):
            total += _array_bytes(thing, seen)
            waiting += thing.tolist() if thing.dtype.hasobject else []
        elif isinstance(own := getattr(thing, "nbytes", None), int):
            total += own
        elif isinstance(thing, str | bytes | bytearray | int | float):
            total += sys.getsizeof(thing)
        elif isinstance(thing, Mapping):
            total += sys.getsizeof(thing)
            waiting += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | frozenset):
            total += sys.getsizeof(thing)
            waiting += thing
        else:
            waiting += _attributes(thing)
    return total


def _array_bytes(array: np.ndarray, seen: set[int]) -> int:
    # An array over an Arrow buffer owns nothing: the buffer's address tells whether its table was counted
    address = array.__array_interface__["data"][0]
    if array.base is not None and address in seen:
        return 0
    seen.add(address)
    return array.nbytes


def _arrow_bytes(thing: pa.Table | pa.ChunkedArray | pa.Array, seen: set[int]) -> int:
    if isinstance(thing, pa.Table):
        return sum(_arrow_bytes(column, seen) for column in thing.columns)
    if isinstance(thing, pa.ChunkedArray):
        return sum(_arrow_bytes(chunk, seen) for chunk in thing.chunks)
    total = 0
    for buffer in thing.buffers():
        if buffer is not None and buffer.address not in seen:
            seen.add(buffer.address)
            total += buffer.size
    return total


def _attributes(thing: object) -> list[object]:
    found = list(getattr(thing, "__dict__", {}).values())
    for kind in type(thing).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        found += [getattr(thing, name, None) for name in ((slots,) if isinstance(slots, str) else slots)]
    return found
