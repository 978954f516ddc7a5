"""Saying that a kernel is being compiled: seconds without a sign of life, where numba's cache does not have it yet."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

NOTE = 25
"""Level, between INFO and WARNING, of what somebody who waits wants to read. The command line shows it."""

logging.addLevelName(NOTE, "NOTE")

PATIENCE_SECONDS = 1.0
"""Loading a kernel from the cache takes a fraction of this, and is not worth a word."""


@contextmanager
def compiling(what: str) -> Iterator[None]:
    """Note what is being compiled, if that takes long.

    Args:
        what: Such as "the tree kernels".
    """
    text = "compiling %s for this machine; numba keeps it (NUMBA_CACHE_DIR), so this happens once"
    timer = threading.Timer(PATIENCE_SECONDS, logger.log, (NOTE, text, what))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
