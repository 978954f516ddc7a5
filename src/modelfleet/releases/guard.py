"""Keeps bundles in place while somebody looks at one and then publishes a release that names it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from modelfleet.releases.bucket_guard import holding
from modelfleet.stores.place import Place


@contextmanager
def bundles_in_place(root: Place) -> Iterator[None]:
    """Hold off whoever removes bundles for the length of the block; any number of publishers do so at once.

    In a folder it is a lock, which dies with its holder; for a bucket see ``bucket_guard``. It must not be held while
    waiting for a person, nor be taken twice at once by one process.

    Args:
        root: The fleet's folder, here or below a bucket.

    Raises:
        FleetBusyError: Somebody removes bundles from the bucket, and went on for longer than one waits.
    """
    if isinstance(root, Path):
        with _locked(root, fcntl.LOCK_SH):
            yield
    else:
        with holding(root):
            yield


@contextmanager
def publishers_held_off(root: Path) -> Iterator[None]:
    """Wait for every publisher of a folder and hold them off: for whoever removes bundles; see ``bundles_in_place``."""
    with _locked(root, fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(root: Path, how: int) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".bundles.lock").open("a") as file:
        fcntl.flock(file, how)
        yield
