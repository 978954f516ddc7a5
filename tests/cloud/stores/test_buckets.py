"""Buckets are stores, by the real client libraries against servers that speak as Google's and Amazon's do."""

from __future__ import annotations

import os
from typing import Any

import pytest

from modelfleet.errors import RetryableError, StoreRefusedError, StoreUnavailableError
from modelfleet.stores import gcs, s3
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from modelfleet.stores.store import Store
from tests.cloud.emulators import free_port
from tests.stores.contract import StoreContract


class TestGcs(StoreContract):
    @pytest.fixture
    def store(self, gs_bucket: Url) -> Store:
        return open_store(gs_bucket / "some" / "folder")


class TestS3(StoreContract):
    @pytest.fixture
    def store(self, s3_bucket: Url) -> Store:
        return open_store(s3_bucket / "some" / "folder")


def test_folders_do_not_see_each_other(bucket: Url) -> None:
    here, beside, whole = open_store(bucket / "a"), open_store(bucket / "ab"), open_store(bucket)
    here.write("x.json", b"1")
    beside.write("y.json", b"2")
    whole.write("z.json", b"3")
    assert (here.names(), beside.names(), whole.names()) == (["x.json"], ["y.json"], ["z.json"])


def test_a_bucket_that_is_not_there_is_told(bucket: Url) -> None:
    store = open_store(Url(f"{bucket}-gone") / "a")
    asks: list[Any] = [store.names, lambda: store.write("a", b""), lambda: store.create("a", b"")]
    for ask in asks:
        with pytest.raises(StoreRefusedError, match=r"there is no bucket '.*-gone'; make it, or mend the name"):
            ask()


def test_a_service_that_is_away_may_come_back(bucket: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", away)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", away)
    monkeypatch.setattr(gcs, "SECONDS", 0.5)
    monkeypatch.setattr(s3, "SECONDS", 0.5)
    for cached in (gcs._client, gcs._retry, s3._client):
        cached.cache_clear()
    store = open_store(bucket / "a")
    try:
        asks: list[Any] = [store.names, lambda: store.read("a"), lambda: store.create("a", b"")]
        for ask in asks:
            with pytest.raises(StoreUnavailableError, match="try again") as caught:
                ask()
            assert isinstance(caught.value, RetryableError)
            assert isinstance(caught.value, OSError)
    finally:
        for cached in (gcs._client, gcs._retry, s3._client):
            cached.cache_clear()


def test_a_store_that_ignores_the_condition_is_not_relied_upon(s3_bucket: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some servers that speak S3 write over what is there, whatever If-None-Match says."""
    store = open_store(s3_bucket / "a")
    client = s3._client(os.getpid())
    s3._honouring.cache_clear()
    put = client.put_object
    monkeypatch.setattr(client, "put_object", lambda IfNoneMatch=None, **named: put(**named))
    with pytest.raises(StoreRefusedError, match="although If-None-Match forbade it, so two promoters could both win"):
        store.create("a.json", b"x")


def test_no_credentials_are_told(s3_bucket: Url, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3._client.cache_clear()
    with pytest.raises(StoreRefusedError, match="AWS_ACCESS_KEY_ID"):
        open_store(s3_bucket / "a").names()
    s3._client.cache_clear()
