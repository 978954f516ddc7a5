"""Doing without Python's garbage collector for a moment."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collector() -> Iterator[None]:
    """Make many small objects that all stay, without the collector looking for some that do not.

    It would look through everything in the process again and again: where Airflow or Beam is loaded, that is a third
    of deciding about ten thousand entities. Nothing is lost but cycles, until it is back.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
