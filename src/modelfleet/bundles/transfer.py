"""Bundles on their way: into a bucket before a release names them, and back to a machine that builds upon them."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelfleet.bundles.format import MANIFEST_NAME, IndexFile, ShardFile, folder_name
from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.storage import is_remote
from modelfleet.errors import BundleError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url

AT_ONCE = 8
"""So many files are on their way at a time."""


def send(bundle: Bundle, parent: Url) -> str:
    """Copy a bundle into a bucket, its manifest last, so that nobody opens half of it.

    Of one that is there already, whole, only the manifest is written again, the same as before: so it is as young as
    if it were new, and ``modelfleet gc`` on a machine that knows of no run which needs it leaves it. A damaged one is
    mended.

    Args:
        bundle: On this machine, or elsewhere.
        parent: Where bundles lie; the copy is named after its content.

    Returns:
        The copy's URL.

    Raises:
        BundleError: The bundle is damaged.
        StoreUnavailableError: The bucket does not answer; what was sent so far is no bundle.
        StoreRefusedError: It is not there, or is closed to this account.
    """
    target = parent / folder_name(bundle.sha256)
    store = open_store(target)

    def copy(part: ShardFile | IndexFile) -> None:
        store.write(part.path, bundle.read(part))

    if not _is_whole(str(target), bundle.sha256):
        _for_each_file(bundle, copy)
    store.write(MANIFEST_NAME, bundle.storage.manifest())
    return str(target)


def fetch(at: str, sha256: str, parent: Path) -> Bundle:
    """Return a bundle as a folder of this machine, copied there once where it is elsewhere; any number may ask at once.

    Args:
        at: Its folder or URL.
        sha256: Its hash.
        parent: Where bundles lie here; the copy is named after its content, and appears whole or not at all.

    Raises:
        BundleError: It cannot be read, or is damaged.
    """
    if not is_remote(at):
        return Bundle.open(at, sha256=sha256)
    target = parent / folder_name(sha256)
    if _is_whole(str(target), sha256):
        return Bundle.open(target, sha256=sha256, verify=False)
    bundle = Bundle.open(at, sha256=sha256, verify=False)
    temporary = parent / f".{uuid.uuid4().hex}.tmp"

    def copy(part: ShardFile | IndexFile) -> None:
        file = temporary / part.path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bundle.read(part))

    try:
        _for_each_file(bundle, copy)
        (temporary / MANIFEST_NAME).write_bytes(bundle.storage.manifest())
        put_in_place(temporary, target, sha256)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Bundle.open(target, sha256=sha256, verify=False)


def put_in_place(made: Path, target: Path, sha256: str) -> None:
    """Rename a bundle's folder to its name, unless a whole one has it already; a damaged one is replaced."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        if not _is_whole(str(target), sha256):
            aside = target.with_name(f".{uuid.uuid4().hex}.damaged")
            target.rename(aside)
            made.rename(target)
            shutil.rmtree(aside, ignore_errors=True)


def _for_each_file(bundle: Bundle, copy: Callable[[ShardFile | IndexFile], None]) -> None:
    """Copy every file but the manifest, some at a time; the first that fails raises."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for _ in pool.map(copy, [*bundle.manifest.files, bundle.manifest.index]):
            pass


def _is_whole(at: str, sha256: str) -> bool:
    try:
        Bundle.open(at, sha256=sha256)
    except BundleError:
        return False
    return True
