"""Data files below a bucket, copied to this machine once: a step that runs again reads the same rows."""

from __future__ import annotations

import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

from modelfleet.data.files import format_by_name
from modelfleet.errors import DataError, nearest
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import SCHEMES, Url
from modelfleet.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelfleet.data.files import DataFile

READ = ".read"
"""Says where the copies are from, and names them, a line each; written last."""

AT_ONCE = 4
"""So many files are on their way at a time."""

_SIGNS = "*?["


def is_below_bucket(source: str) -> bool:
    """Return whether data is named by the URL of a bucket."""
    return source.partition("://")[0] in SCHEMES and "://" in source


@dataclass(frozen=True)
class Copies:
    """Data files that were copied from a bucket.

    Attributes:
        source: What names the copies as the spec's ``data.source`` names the files: a file, or a glob.
        url: The folder that the files lie in.
    """

    source: str
    url: str

    def named(self, files: Iterable[DataFile]) -> tuple[DataFile, ...]:
        """Return the copies under the names of the files that they are of: by those they are told of."""
        return tuple(replace(file, path=f"{self.url}/{Path(file.path).name}", copy=file.at) for file in files)


def fetch_objects(source: str, folder: Path) -> Copies:
    """Copy data files from a bucket into a folder; one that was filled whole is left as it is.

    Args:
        source: ``gs://BUCKET/...`` or ``s3://BUCKET/...``: a file, a folder (all files directly in it whose names end
            like data), or a glob with its signs in the last part.
        folder: Appears whole or not at all.

    Raises:
        DataError: Nothing is there, or the glob is of another kind.
        StoreUnavailableError: The bucket does not answer.
        StoreRefusedError: It is not there, or is closed to this account.
    """
    if not (folder / READ).exists():
        _fetch(source, folder)
    url, *names = (folder / READ).read_text().splitlines()
    return Copies(str(folder / names[0]) if len(names) == 1 else f"{escape(str(folder))}/*", url)


def _fetch(source: str, folder: Path) -> None:
    url, names = _found(source)
    store = open_store(url)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{uuid.uuid4().hex}.tmp")
    temporary.mkdir()
    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for _ in pool.map(lambda name: store.download(name, temporary / name), names):
                pass
        write_whole(temporary / READ, "".join(f"{line}\n" for line in (url, *names)))
        temporary.rename(folder)
    except FileNotFoundError as error:
        raise DataError(f"data.source {source}: {error.filename} was removed while it was read; run again") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _found(source: str) -> tuple[Url, list[str]]:
    """Return the folder that the files lie in, and their names there."""
    url = Url(source.rstrip("/"))
    if any(sign in str(url.parent) for sign in _SIGNS):
        raise DataError(f"data.source {source}: below a bucket, signs such as * stand in the last part only")
    beside = open_store(url.parent).names() if url.key else []
    if url.name in beside:
        return url.parent, [url.name]
    if any(sign in url.name for sign in _SIGNS):
        folder, found = url.parent, [name for name in beside if fnmatch(name, url.name)]
    else:
        folder, found = url, [name for name in open_store(url).names() if format_by_name(name)]
    names = sorted(name for name in found if not name.startswith((".", "_")))
    if not names:
        raise DataError(f"data.source {source}: no data file there{nearest(url.name, beside[:50])}")
    return folder, names
