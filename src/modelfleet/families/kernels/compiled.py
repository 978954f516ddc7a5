"""The kernels as numba compiles them, and what their callers must hand over."""

from __future__ import annotations

import hashlib
import inspect
import logging
from functools import cache
from threading import Lock
from types import FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.compiling import compiling
from modelfleet.families.kernels import (
    counting,
    entity_columns,
    introsort,
    level_rows,
    row_order,
    sorted_lists,
    summing,
    sums,
    walking,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Kernel = Callable[..., Any]

logger = logging.getLogger(__name__)
_compiling = Lock()

COLUMNS: tuple[Kernel, ...] = (entity_columns.own_columns, entity_columns.own_classes, entity_columns.next_draw)
ROWS: tuple[Kernel, ...] = (
    introsort.sift, introsort.sort_rows, level_rows.count_levels, level_rows.list_levels, level_rows.sort_level,
    level_rows.sort_rare_level, row_order.sort_number, row_order.missing_first, row_order.part_rows, sums.move_left,
    sums.add_squares,
)  # fmt: skip


def counting_cart() -> Kernel | None:
    """Return ``counting.grow`` compiled, or None where numba is not installed or cannot compile here."""
    with _compiling:
        return _counting()


def summing_cart() -> Kernel | None:
    """Return ``summing.grow`` compiled, or None as above."""
    with _compiling:
        return _summing()


def tree_walk() -> Kernel | None:
    """Return ``walking.walk`` compiled, or None as above."""
    with _compiling:
        return _walk()


def warm() -> bool:
    """Compile every kernel, or load it from numba's cache, and return whether there are any.

    Seconds when the cache is empty, so worker images and long-lived processes do it before there is work.
    """
    return all(kernel is not None for kernel in (counting_cart(), summing_cart(), tree_walk()))


@cache
def first_draw(seed: int) -> int:
    """Return the state scikit-learn's splitter starts from for a ``random_state``."""
    return int(np.random.RandomState(seed).randint(0, 0x7FFFFFFF))


def empty_tables(nodes: int, leaves: int, outputs: int) -> tuple[NDArray[Any], ...]:
    """Return room for so many: feature, threshold, missing_left, value."""
    return np.empty(nodes, np.int16), np.empty(nodes), np.empty(nodes, np.bool_), np.empty((leaves, outputs))


@cache
def _counting() -> Kernel | None:
    def smallest_call(grow: Kernel) -> None:
        grow(*_two_rows(), np.zeros(2, np.int32), 1, 1, 1, *empty_tables(3, 2, 2), np.zeros(2, np.int64))

    return _compile(counting.grow, (*COLUMNS, sorted_lists.part_list), smallest_call)


@cache
def _summing() -> Kernel | None:
    def smallest_call(grow: Kernel) -> None:
        nothing = np.zeros(0), np.zeros(0)
        grow(*_two_rows(), np.zeros(2, np.int32), *nothing, 1, 1, 1, *empty_tables(3, 2, 2), np.zeros(2, np.int64))

    return _compile(summing.grow, COLUMNS + ROWS, smallest_call)


@cache
def _walk() -> Kernel | None:
    def smallest_call(walk: Kernel) -> None:
        two = np.zeros((2, 1))
        nodes = np.zeros(1, walking.NODE)
        nodes["feature"] = -1
        walk(nodes, np.zeros(1, np.int64), two.astype(np.int32), two, np.zeros(2, np.int32), np.zeros(2, np.int32))

    return _compile(walking.walk, (), smallest_call)


def _two_rows() -> tuple[NDArray[Any], ...]:
    """Return bounds, offsets, codes and numbers of one entity's two rows."""
    ends = np.array([0, 2], dtype=np.int64)
    two = np.zeros((2, 1), dtype=np.int32)
    return ends, ends, two, two.astype(np.float32)


def _compile(function: Kernel, called: tuple[Kernel, ...], call: Callable[[Kernel], None]) -> Kernel | None:
    """Compile a kernel for the one set of types in use, so that threads never wait for each other's compilation.

    Args:
        function: The kernel; takes ``sources`` if anything is called.
        called: The functions it calls, each after those it calls itself.
        call: Calls the kernel with arguments of those types.
    """
    try:
        from numba import njit
    except ImportError:
        return None
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        compiled: dict[str, Any] = {}
        digest = hashlib.sha256()
        for each in called:
            digest.update(inspect.getsource(each).encode())
            compiled[each.__name__] = njit(**options)(_calling(each, compiled))
        sources = int.from_bytes(digest.digest()[:6], "big")
        kernel: Kernel = njit(cache=True, **options)(_calling(function, compiled, *([sources] if called else [])))
        with compiling("the tree kernels"):
            call(kernel)
    except Exception as error:  # numba raises its own types, and a read-only cache folder raises RuntimeError
        logger.warning("numba is installed but cannot compile the tree kernels, slower code takes over: %s", error)
        return None
    return kernel


def _calling(function: Kernel, others: dict[str, Any], *defaults: int) -> FunctionType:
    """Return a function with others in the place of those of the same name, and with other defaults."""
    plain = FunctionType(function.__code__, {**function.__globals__, **others}, function.__name__, defaults)
    plain.__module__ = function.__module__
    return plain
