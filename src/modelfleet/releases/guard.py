"""Keeps bundles in place while somebody looks at one and then publishes a release that names it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelfleet.stores.place import Place


@contextmanager
def bundles_in_place(root: Place, *, against_all: bool = False) -> Iterator[None]:
    """Hold off whoever removes bundles for the length of the block; any number of publishers do so at once.

    The lock dies with its holder. It must not be held while waiting for a person. A bucket has no such lock, and nobody
    who removes bundles from it.

    Args:
        root: The fleet's folder.
        against_all: For the one that removes: wait for every publisher, and hold them off.
    """
    if not isinstance(root, Path):
        yield
        return
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".bundles.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX if against_all else fcntl.LOCK_SH)
        yield
