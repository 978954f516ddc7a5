"""Which store a place is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.errors import InputError
from modelfleet.stores.local import LocalStore
from modelfleet.stores.place import SCHEMES, Place, place

if TYPE_CHECKING:
    from modelfleet.stores.store import Store


def open_store(named: str | Place) -> Store:
    """Return the store of a folder; nothing is asked yet.

    Args:
        named: A folder of this machine, or ``gs://bucket/...`` or ``s3://bucket/...``.

    Raises:
        InputError: It is a URL of another kind.
    """
    found = place(named)
    if isinstance(found, Path):
        return LocalStore(found)
    if found.scheme == "gs" and found.bucket:
        from modelfleet.stores.gcs import GcsStore

        return GcsStore(found)
    if found.scheme == "s3" and found.bucket:
        from modelfleet.stores.s3 import S3Store

        return S3Store(found)
    raise InputError(
        f"'{found}' is neither a folder nor below a bucket: expected a path, or a URL that begins with "
        + " or ".join(f"{scheme}://BUCKET" for scheme in SCHEMES)
    )
