"""Data Docs below a bucket, where others than this machine's user can open them."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelfleet.errors import InputError
from modelfleet.loop.data_docs import DATA_DOCS, PAGES, published
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url


@pytest.fixture
def first_page(tmp_path: Path) -> Path:
    for name, content in {"index.html": "pages", "static/a.css": "looks", ".results/r.json": "{}"}.items():
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text(content)
    return tmp_path / "site" / "index.html"


def test_each_run_has_its_pages(bucket: Url, first_page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_DOCS, f"{bucket}/docs/")
    page = published(first_page, "shops", "r1")
    there = bucket / "docs" / "shops" / "r1"
    begin = PAGES[bucket.scheme] + there.text.removeprefix("gs://") if bucket.scheme == "gs" else str(there)
    assert page == f"{begin}/index.html"
    store = open_store(there)
    assert (store.names(), store.read("static/a.css")) == (["index.html"], b"looks")
    assert open_store(there / ".results").names() == []


def test_a_bucket_that_is_away_costs_only_the_link(
    bucket: Url, first_page: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(DATA_DOCS, f"{bucket}-gone/docs")
    assert published(first_page, "shops", "r1") == str(first_page)
    assert "the Data Docs stay on this machine" in caplog.text


def test_what_is_no_bucket_is_told(first_page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATA_DOCS, "/var/docs")
    with pytest.raises(InputError, match="expected gs://BUCKET/PREFIX"):
        published(first_page, "shops", "r1")
    monkeypatch.delenv(DATA_DOCS)
    assert published(first_page, "shops", "r1") == str(first_page)
