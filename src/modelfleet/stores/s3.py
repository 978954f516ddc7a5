"""A folder below a bucket that speaks S3, by boto3.

``$AWS_ENDPOINT_URL_S3`` names another server than Amazon's. It must honour ``If-None-Match`` when it is written to,
which is tried before it is relied upon. Credentials and region are the environment's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.errors import MissingExtraError, StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from modelfleet.stores.place import Url

SECONDS = 20.0
"""How long the service may take for one answer."""

PART_BYTES = 1 << 20
"""So much of a file is in memory while it is downloaded."""

TRIES = 3
"""So often a write is begun again that met another one of the same name under way."""


class S3Store:
    """See ``modelfleet.stores.store.Store``.

    Args:
        url: The folder.
    """

    def __init__(self, url: Url) -> None:
        self._url = url
        self._prefix = url.prefix

    def names(self) -> list[str]:
        """See ``Store``."""
        with self._told("", whole_bucket=True):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._url.bucket, Prefix=self._prefix, Delimiter="/"
            )
            keys = [found["Key"] for page in pages for found in page.get("Contents", ())]
        return [name for key in keys if (name := key.removeprefix(self._prefix))]

    def read(self, name: str) -> bytes:
        """See ``Store``."""
        with self._told(name):
            data: bytes = self._client.get_object(**self._at(name))["Body"].read()
            return data

    def create(self, name: str, content: bytes) -> None:
        """See ``Store``; the service compares, so no two writers can both find the name free."""
        for rest in reversed(range(TRIES)):
            try:
                with self._told(name, whole_bucket=True):
                    self._client.put_object(**self._at(name), Body=content, IfNoneMatch="*")
                    self._check_conditions(name, content)
                return
            except _UnderWayError as error:
                if not rest:
                    raise StoreUnavailableError(str(error)) from error

    def _check_conditions(self, name: str, content: bytes) -> None:
        """Write what is there once more, which a store must refuse; asked once per bucket and process.

        One that does not know the condition ignores it: of two promoters the slower one would win without a word.
        """
        from botocore.exceptions import ClientError

        if self._url.bucket in _honouring(os.getpid()):
            return
        try:
            self._client.put_object(**self._at(name), Body=content, IfNoneMatch="*")
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 412:
                raise
            _honouring(os.getpid()).add(self._url.bucket)
        else:
            raise StoreRefusedError(
                f"{self._url}/{name}: the store wrote over it although If-None-Match forbade it, so two promoters "
                "could both win: use a store that honours If-None-Match for PutObject"
            )

    def write(self, name: str, content: bytes) -> None:
        """See ``Store``."""
        with self._told(name, whole_bucket=True):
            self._client.put_object(**self._at(name), Body=content)

    def download(self, name: str, path: Path) -> None:
        """See ``Store``."""
        with self._told(name), path.open("wb") as file:
            answer = self._client.get_object(**self._at(name))
            for part in answer["Body"].iter_chunks(PART_BYTES):  # fails where it ends too early
                file.write(part)

    def upload(self, name: str, path: Path) -> None:
        """See ``Store``."""
        with self._told(name, whole_bucket=True), path.open("rb") as file:
            self._client.put_object(**self._at(name), Body=file)

    def remove(self, name: str) -> None:
        """See ``Store``."""
        with self._told(name, whole_bucket=True):
            self._client.delete_object(**self._at(name))

    def written_at(self, name: str) -> datetime:
        """See ``Store``."""
        with self._told(name):
            written: datetime = self._client.head_object(**self._at(name))["LastModified"]
            return written

    def _at(self, name: str) -> dict[str, str]:
        return {"Bucket": self._url.bucket, "Key": self._prefix + name}

    @property
    def _client(self) -> Any:
        return _client(os.getpid())

    @contextmanager
    def _told(self, name: str, *, whole_bucket: bool = False) -> Iterator[None]:
        """Turn the library's errors into those that ``Store`` names."""
        from botocore import exceptions

        where = f"{self._url}/{name}"
        try:
            yield
        except exceptions.ClientError as error:
            raise _by_status(error, where, self._url.bucket, whole_bucket=whole_bucket) from error
        except (
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.NoRegionError,
            exceptions.ParamValidationError,
        ) as error:
            raise StoreRefusedError(
                f"{where}: {error}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE or a role, and "
                "AWS_DEFAULT_REGION"
            ) from error
        except exceptions.BotoCoreError as error:
            raise StoreUnavailableError(f"{where}: {error}; try again") from error


class _UnderWayError(StoreUnavailableError):
    """Another writer of the same name has begun and not ended."""


@cache
def _honouring(process: int) -> set[str]:
    """Return the buckets that were seen to refuse to write over what is there."""
    return set()


def _by_status(error: Any, where: str, bucket: str, *, whole_bucket: bool) -> OSError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket" or (status == 404 and whole_bucket):
        return StoreRefusedError(f"{where}: there is no bucket '{bucket}'; make it, or mend the name")
    if status == 404:
        return FileNotFoundError(errno.ENOENT, "no such object", where)
    if status == 412:
        return FileExistsError(errno.EEXIST, "is there already", where)
    if status == 409:
        return _UnderWayError(f"{where}: {error}; try again")
    if status in (400, 401, 403):
        return StoreRefusedError(f"{where}: {error}; give this account access to the bucket")
    return StoreUnavailableError(f"{where}: {error}; try again")


@cache
def _client(process: int) -> Any:
    """Return the client of a process; a forked one must not share its parent's connections."""
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise MissingExtraError("boto3", "s3") from error
    return boto3.session.Session().client(
        "s3",
        config=Config(
            connect_timeout=SECONDS / 4,
            read_timeout=SECONDS,
            retries={"mode": "standard", "total_max_attempts": 3},
        ),
    )
