"""What a loaded file takes is counted once, wherever it is held."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from modelfleet.bundles.held_bytes import held_bytes


class Slotted:
    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held


def test_arrays_count_once_however_often_they_are_held() -> None:
    array = np.zeros(10_000)
    held = SimpleNamespace(one=array, part=array[:10], deep=[{"again": Slotted(array)}])
    assert 80_000 <= held_bytes(held) < 82_000
    assert held_bytes(held, array) == held_bytes(held)


def test_an_array_over_an_arrow_buffer_is_the_buffer() -> None:
    column = pa.array(np.arange(10_000.0))
    assert held_bytes(column) == held_bytes(column, column.to_numpy()) == 80_000
    assert held_bytes(pa.table({"a": column, "b": pa.chunked_array([column])})) == 80_000


def test_what_knows_its_size_is_believed() -> None:
    assert held_bytes(SimpleNamespace(nbytes=123, other=np.zeros(100))) == 123


def test_texts_bytes_and_circles() -> None:
    circle: list[object] = [b"x" * 1000, "y" * 1000]
    circle.append(circle)
    assert 2000 < held_bytes(circle) < 2400
    assert held_bytes(None, np, int) == 0
    assert held_bytes(np.array([b"x" * 5000, None], dtype=object)) > 5000
