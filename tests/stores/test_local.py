"""A folder of this machine is a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelfleet.errors import InputError
from modelfleet.stores.local import LocalStore
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url, place
from modelfleet.stores.store import Store
from tests.stores.contract import StoreContract


class TestLocalStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return open_store(tmp_path / "made" / "when written")

    def test_nothing_half_written_is_left(self, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.fsync", full)
        with pytest.raises(OSError, match="No space"):
            store.create("a.json", b"x")
        assert store.names() == []


def test_a_path_and_a_url_are_told_apart() -> None:
    assert place("a/b") == Path("a/b")
    assert isinstance(open_store("gs/b"), LocalStore)
    url = place("gs://bucket/a/b/")
    assert isinstance(url, Url)
    assert (url.scheme, url.bucket, url.key, url.name) == ("gs", "bucket", "a/b", "b")
    assert str(url.parent / "c") == "gs://bucket/a/c"
    assert Url("gs://bucket").parent == Url("gs://bucket")
    assert Url("s3://bucket").key == ""


@pytest.mark.parametrize("named", ["http://x/y", "gs://", "s3:///key", "file:///x"])
def test_what_is_no_place_is_told(named: str) -> None:
    with pytest.raises(InputError, match=r"expected a path, or a URL that begins with gs://BUCKET or s3://BUCKET"):
        open_store(named)
