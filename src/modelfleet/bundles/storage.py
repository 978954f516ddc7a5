"""Where a bundle's files are: a folder here, below ``gs://`` or ``s3://``, or anything else that fsspec can read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from modelfleet.bundles.format import MANIFEST_NAME
from modelfleet.errors import BundleError, MissingExtraError
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import SCHEMES, Url

if TYPE_CHECKING:
    from modelfleet.bundles.format import IndexFile, ShardFile

NEXT = "go back to another release (`modelfleet rollback`), or train anew"


class Storage(Protocol):
    """A bundle's files.

    Attributes:
        where: The folder or URL, for messages.
    """

    where: str

    def manifest(self) -> bytes:
        """Return ``bundle.json``.

        Raises:
            BundleError: It cannot be read; caused by an ``OSError`` that is no ``FileNotFoundError`` where a later
                try may help.
        """
        ...

    def read(self, part: ShardFile | IndexFile) -> bytes:
        """Return a file after checking the number and the hash of its bytes.

        Raises:
            BundleError: It cannot be read (as above), or is not what the manifest says.
        """
        ...

    def piece(self, part: ShardFile | IndexFile, begin: int, end: int) -> bytes:
        """Return some of a file's bytes, not checked: for whoever knows what they must be.

        Raises:
            BundleError: They cannot be read.
        """
        ...


class FolderStorage:
    """A bundle in a folder of this machine."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = str(path)

    def manifest(self) -> bytes:
        """See ``Storage``."""
        try:
            return (self.path / MANIFEST_NAME).read_bytes()
        except OSError as error:
            raise BundleError(
                f"{self.path / MANIFEST_NAME}: cannot be read ({error.strerror}); "
                f"{self.path} is no complete bundle: {NEXT}"
            ) from error

    def read(self, part: ShardFile | IndexFile) -> bytes:
        """See ``Storage``."""
        return checked(self._bytes(part), part, str(self.path / part.path))

    def piece(self, part: ShardFile | IndexFile, begin: int, end: int) -> bytes:
        """See ``Storage``."""
        return self._bytes(part, begin, end - begin)

    def _bytes(self, part: ShardFile | IndexFile, begin: int = 0, count: int = -1) -> bytes:
        file = self.path / part.path
        if file.is_symlink() or file.parent.is_symlink():
            raise BundleError(f"{file}: is a link; a bundle holds plain files only; {NEXT}")
        try:
            with file.open("rb") as stream:
                stream.seek(begin)
                return stream.read(count)
        except OSError as error:
            raise BundleError(
                f"{file}: cannot be read ({error.strerror}), expected {part.bytes} bytes; {NEXT}"
            ) from error


class RemoteStorage:
    """A bundle under a URL, of a bucket or of any other scheme that fsspec knows; each call reads it anew."""

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")

    def manifest(self) -> bytes:
        """See ``Storage``."""
        return self._bytes(MANIFEST_NAME)

    def read(self, part: ShardFile | IndexFile) -> bytes:
        """See ``Storage``."""
        return checked(self._bytes(part.path), part, f"{self.where}/{part.path}")

    def piece(self, part: ShardFile | IndexFile, begin: int, end: int) -> bytes:
        """See ``Storage``."""
        return self._bytes(part.path, begin, end - begin)

    def _bytes(self, path: str, begin: int = 0, count: int = -1) -> bytes:
        url = f"{self.where}/{path}"
        if Url(self.where).scheme in SCHEMES:
            try:
                content = open_store(self.where).read(path)
                return content[begin:] if count < 0 else content[begin : begin + count]
            except OSError as error:
                why = error.strerror or str(error)
                raise BundleError(f"{url}: cannot be read ({why}); {NEXT}") from error
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtraError("fsspec", "remote") from error
        try:
            with fsspec.open(url, "rb") as stream:
                if begin:
                    stream.seek(begin)
                data: bytes = stream.read(count)
        except Exception as error:  # each scheme has errors of its own; all but an absent file may pass
            cause = error if isinstance(error, OSError) else OSError(f"{type(error).__name__}: {error}")
            raise BundleError(f"{url}: cannot be read ({cause}); {NEXT}") from cause
        return data


def is_remote(uri: str) -> bool:
    """Return whether a bundle's uri is a URL; one with ``file://`` counts, so that a slow mount can be cached."""
    return "://" in uri


def open_storage(uri: str) -> Storage:
    """Return the storage of a bundle by its uri."""
    return RemoteStorage(uri) if is_remote(uri) else FolderStorage(Path(uri))


def checked(data: bytes, part: ShardFile | IndexFile, where: str) -> bytes:
    """Return the bytes of a file, if they are what the manifest says.

    Raises:
        BundleError: They are not.
    """
    if len(data) != part.bytes:
        raise BundleError(f"{where}: {len(data)} bytes, expected {part.bytes}: truncated or altered; {NEXT}")
    found = hashlib.sha256(data).hexdigest()
    if found != part.sha256:
        raise BundleError(f"{where}: sha256 is {found}, expected {part.sha256}: altered; {NEXT}")
    return data
