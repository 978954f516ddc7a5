"""The linear models' kernels as numba compiles them."""

from __future__ import annotations

import inspect
import logging
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.families.kernels import newton

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)
_LOCK = Lock()


def linear_kernel(name: str) -> Callable[..., None] | None:
    """Return ``newton.<name>`` compiled, or None where numba is not installed or cannot compile here.

    Args:
        name: ``binary``, ``multinomial`` or ``ridge``.
    """
    with _LOCK:  # two threads compiling the same function would do it twice
        return _kernel(name)


@cache
def _kernel(name: str) -> Callable[..., None] | None:
    if not _replaced():
        return None
    kernel: Callable[..., None] = getattr(newton, name)
    try:
        _smallest_call(name, kernel)
    except Exception as error:  # numba raises its own types, and a read-only cache folder raises RuntimeError
        logger.warning("numba is installed but cannot compile the kernel '%s', numpy does its work: %s", name, error)
        return None
    return kernel


@cache
def _replaced() -> bool:
    """Put numba's functions in the place of the plain ones; a compiled one finds those it calls by their names there.

    They are in one module because numba's cache sees no change in another.
    """
    try:
        from numba import njit

        for name, function in inspect.getmembers(newton, inspect.isfunction):
            compiled = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")(function)
            setattr(newton, name, compiled)
    except ImportError:
        return False
    except Exception as error:
        logger.warning("numba is installed but cannot cache the linear models' kernels, numpy fits them: %s", error)
        return False
    return True


def _smallest_call(name: str, kernel: Callable[..., None]) -> None:
    """Compile for the one set of types in use: three rows of one level and no number."""
    bounds, offsets = np.array([[0, 3]], dtype=np.int64), np.array([0, 1], dtype=np.int64)
    rows = (bounds, offsets, np.zeros((3, 1), dtype=np.int32), np.ones((3, 1)))
    label, weights, done = np.array([0, 1, 2], dtype=np.int64), np.ones(3), np.zeros(1, dtype=np.bool_)
    binary = np.array([0.0, 1.0, 1.0])
    if name == "binary":
        kernel(*rows, binary, weights, 1.0, 1, 1.0, np.zeros((1, 2)), done)
    elif name == "multinomial":
        classes = np.array([3], dtype=np.int64)
        kernel(*rows, label, weights, classes, 1.0, 1, 1.0, np.zeros((1, 3, 2)), done)
    else:
        kernel(*rows, binary, weights, 1.0, np.zeros((1, 2)), done)
