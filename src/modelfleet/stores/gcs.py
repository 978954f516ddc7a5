"""A folder below a bucket of Google Cloud Storage, by Google's own library.

``$STORAGE_EMULATOR_HOST`` names another server than Google's; credentials are the environment's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.errors import MissingExtraError, StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from modelfleet.stores.place import Url

SECONDS = 20.0
"""How long the service may take for one answer, all tries together."""

ABSENT = 0
"""The generation of an object that is not there: a write that expects it succeeds only once."""

SIGN_IN = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"


class GcsStore:
    """See ``modelfleet.stores.store.Store``.

    Args:
        url: The folder.
    """

    def __init__(self, url: Url) -> None:
        self._url = url
        self._prefix = url.prefix

    def names(self) -> list[str]:
        """See ``Store``."""
        with self._told("", listing=True):
            blobs = self._bucket.list_blobs(
                prefix=self._prefix, delimiter="/", fields="items(name),nextPageToken", retry=_retry()
            )
            return [name for blob in blobs if (name := blob.name.removeprefix(self._prefix))]

    def read(self, name: str) -> bytes:
        """See ``Store``."""
        with self._told(name):
            data: bytes = self._blob(name).download_as_bytes(retry=_retry(), checksum="crc32c")
            return data

    def create(self, name: str, content: bytes) -> None:
        """See ``Store``; the service compares, so no two writers can both find the name free."""
        with self._told(name, writing=True):
            self._blob(name).upload_from_string(
                content, content_type=_type(name), if_generation_match=ABSENT, retry=_retry(), checksum="crc32c"
            )

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        with self._told(name, writing=True):
            self._blob(name).upload_from_string(content, content_type=_type(name), retry=_retry(), checksum="crc32c")

    def download(self, name: str, path: Path) -> None:
        """See ``Store``."""
        with self._told(name), path.open("wb") as file:
            self._blob(name).download_to_file(file, retry=_retry(), checksum="crc32c")

    def upload(self, name: str, path: Path) -> None:
        """See ``Store``."""
        with self._told(name, writing=True):
            self._blob(name).upload_from_filename(
                str(path), content_type=_type(name), retry=_retry(), checksum="crc32c"
            )

    def remove(self, name: str) -> None:
        """See ``Store``."""
        with suppress(FileNotFoundError), self._told(name):
            self._blob(name).delete(retry=_retry())

    def written_at(self, name: str) -> datetime:
        """See ``Store``."""
        with self._told(name):
            blob = self._blob(name)
            blob.reload(retry=_retry())
            written: datetime = blob.updated
            return written

    @property
    def _bucket(self) -> Any:
        return _client(os.getpid()).bucket(self._url.bucket)

    def _blob(self, name: str) -> Any:
        return self._bucket.blob(self._prefix + name)

    @contextmanager
    def _told(self, name: str, *, listing: bool = False, writing: bool = False) -> Iterator[None]:
        """Turn the library's errors into those that ``Store`` names."""
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.exceptions import GoogleCloudError
        from google.cloud.storage.exceptions import DataCorruption
        from requests.exceptions import RequestException

        where = f"{self._url}/{name}"
        try:
            yield
        except exceptions.NotFound as error:
            if listing or writing:  # a folder is always there, so it is the bucket that is not
                raise StoreRefusedError(
                    f"{where}: there is no bucket '{self._url.bucket}'; make it, or mend the name"
                ) from error
            raise FileNotFoundError(errno.ENOENT, "no such object", where) from None
        except exceptions.PreconditionFailed:
            raise FileExistsError(errno.EEXIST, "is there already", where) from None
        except (exceptions.Forbidden, exceptions.Unauthorized, exceptions.BadRequest) as error:
            raise StoreRefusedError(f"{where}: {error.message}; give this account access to the bucket") from error
        except GoogleAuthError as error:
            if error.retryable:
                raise StoreUnavailableError(f"{where}: no credentials just now ({error}); try again") from error
            raise StoreRefusedError(f"{where}: no usable credentials ({error}); {SIGN_IN}") from error
        except (exceptions.GoogleAPIError, GoogleCloudError, RequestException, DataCorruption) as error:
            raise StoreUnavailableError(f"{where}: {type(error).__name__}: {error}; try again") from error


@cache
def _client(process: int) -> Any:
    """Return the client of a process; a forked one must not share its parent's connections."""
    try:
        from google.cloud import storage
    except ImportError as error:
        raise MissingExtraError("google.cloud.storage", "gcs") from error
    from google.auth.exceptions import DefaultCredentialsError

    try:
        return storage.Client()
    except DefaultCredentialsError as error:
        raise StoreRefusedError(f"Google Cloud Storage: no credentials ({error}); {SIGN_IN}") from error
    except OSError as error:  # no project is named, and none is needed
        if "Project" not in str(error):
            raise
        return storage.Client(project="none")


@cache
def _retry() -> Any:
    from google.cloud.storage.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(SECONDS)


def _type(name: str) -> str:
    return "application/json" if name.endswith(".json") else "application/octet-stream"
