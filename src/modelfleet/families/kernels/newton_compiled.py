"""The linear models' kernels as numba compiles them."""

from __future__ import annotations

import hashlib
import inspect
import logging
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from modelfleet.compiling import compiling
from modelfleet.families.kernels import cholesky, code_columns, logistic_binary, logistic_multinomial, ridge

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logging.getLogger(__name__)

KERNELS = {"binary": logistic_binary, "multinomial": logistic_multinomial, "ridge": ridge}
MODULES = (code_columns, cholesky, *KERNELS.values())
_LOCK = Lock()


def linear_kernel(name: str) -> Callable[..., None] | None:
    """Return a kernel compiled, or None where numba is not installed or cannot compile here.

    Args:
        name: ``binary``, ``multinomial`` or ``ridge``.
    """
    with _LOCK:  # two threads compiling the same function would do it twice
        return _kernel(name)


@cache
def _kernel(name: str) -> Callable[..., None] | None:
    if not _replaced():
        return None
    kernel: Callable[..., None] = getattr(KERNELS[name], name)
    try:
        with compiling("the linear models' kernels"):
            _smallest_call(name, kernel)
    except Exception as error:  # numba raises its own types, and a read-only cache folder raises RuntimeError
        logger.warning("numba is installed but cannot compile the kernel '%s', numpy does its work: %s", name, error)
        return None
    return kernel


@cache
def _replaced() -> bool:
    """Put numba's functions in the place of the plain ones, where a compiled one finds those it calls."""
    try:
        from numba import njit

        sources = _sources()
        compiled = {}
        for module in MODULES:
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ != module.__name__:
                    continue
                if module in KERNELS.values() and name in KERNELS:
                    # numba caches by a function's own file and by its defaults, not by what it calls
                    function.__defaults__ = (sources,)
                compiled[function] = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")(function)
        for module in MODULES:
            for name, function in inspect.getmembers(module, inspect.isfunction):
                setattr(module, name, compiled[function])
    except ImportError:
        return False
    except Exception as error:
        logger.warning("numba is installed but cannot cache the linear models' kernels, numpy fits them: %s", error)
        return False
    return True


def _sources() -> int:
    """Return a number that changes with the text of any of the modules."""
    digest = hashlib.sha256()
    for module in MODULES:
        digest.update(inspect.getsource(module).encode())
    return int.from_bytes(digest.digest()[:6], "big")


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
