"""Where scored rows go: a file of this machine, or one below a bucket, which is made here first."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.serving.scored_file import bad_rows_path
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url, place

if TYPE_CHECKING:
    from modelfleet.home import FleetHome


def output_here(folders: FleetHome, named: str) -> Path:
    """Return the file of this machine that an output is written to; the same for the same output.

    Args:
        folders: The fleet's.
        named: The output: a path, or a URL.
    """
    where = place(named)
    if isinstance(where, Path):
        return where.absolute()
    return folders.scores / hashlib.sha256(named.encode()).hexdigest()[:16] / where.name


def deliver(output: Path, named: str) -> None:
    """Take an output to where it was asked for, with the list of bad rows beside it, if that is not this machine.

    Args:
        output: What ``output_here`` said; gone afterwards if it was delivered.
        named: The output.

    Raises:
        InputError: It is a URL, but not of a bucket.
        StoreUnavailableError: The bucket does not answer.
        StoreRefusedError: It is not there, or is closed to this account.
    """
    where = place(named)
    if not isinstance(where, Url):
        return
    store, bad_rows = open_store(where.parent), bad_rows_path(output)
    if bad_rows.exists():
        store.upload(bad_rows.name, bad_rows)
    else:
        store.remove(bad_rows.name)  # of an earlier scoring
    store.upload(where.name, output)
    bad_rows.unlink(missing_ok=True)
    output.unlink()
