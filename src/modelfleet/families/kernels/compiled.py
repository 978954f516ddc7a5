"""The kernels as numba compiles them, and what their callers must hand over."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from modelfleet.families.kernels.cart import grow

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

logger = logging.getLogger(__name__)


@cache
def cart() -> Callable[..., int] | None:
    """Return ``cart.grow`` compiled, or None where numba is not installed or cannot compile here."""
    try:
        from numba import njit
    except ImportError:
        return None
    try:
        kernel: Callable[..., int] = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")(grow)
        _smallest_call(kernel)
    except Exception as error:  # numba raises its own types, and a read-only cache folder raises RuntimeError
        logger.warning("numba is installed but cannot compile the tree kernel, scikit-learn grows the trees: %s", error)
        return None
    return kernel


@cache
def first_draw(seed: int) -> int:
    """Return the state scikit-learn's splitter starts from for a ``random_state``."""
    return int(np.random.RandomState(seed).randint(0, 0x7FFFFFFF))


def _smallest_call(kernel: Callable[..., int]) -> None:
    """Compile for the one set of types in use, so that threads never wait for each other's compilation."""
    two = np.zeros((2, 1), dtype=np.int32)
    tables = empty_tables(4)
    kernel(
        np.array([0, 2], dtype=np.int64), np.array([0, 2], dtype=np.int64), two, two.astype(np.float32),
        np.array([0, 1], dtype=np.uint8), 1, 1, 1, *tables, np.zeros(2, dtype=np.int64),
    )  # fmt: skip


def empty_tables(nodes: int) -> tuple[NDArray[Any], ...]:
    """Return room for so many nodes: feature, threshold, left, right, missing_left, rows, positives."""
    types = (np.int16, np.float64, np.int32, np.int32, np.bool_, np.int64, np.int64)
    return tuple(np.zeros(nodes, dtype=type_) for type_ in types)
