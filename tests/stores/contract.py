"""What every store promises, whatever keeps the files; imported by the tests of each kind."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from modelfleet.stores.store import Store


class StoreContract:
    """Run by a class that gives the fixture ``store``: an empty folder."""

    def test_an_empty_folder(self, store: Store) -> None:
        assert store.names() == []
        for ask in (store.read, store.written_at):
            with pytest.raises(FileNotFoundError):
                ask("a.json")
        store.remove("a.json")

    def test_what_is_written_is_read_and_named(self, store: Store) -> None:
        content = bytes(range(256)) * 40
        store.write("a.json", content)
        store.write("b%2F..%00.json", b"")
        assert store.read("a.json") == content
        assert store.read("b%2F..%00.json") == b""
        assert sorted(store.names()) == ["a.json", "b%2F..%00.json"]

    def test_a_file_goes_there_and_back(self, store: Store, tmp_path: Path) -> None:
        here, back = tmp_path / "here", tmp_path / "back"
        content = bytes(range(256)) * 12_000  # more than one part
        here.write_bytes(content)
        store.write("deep/a.bin", b"what was there")
        store.upload("deep/a.bin", here)
        store.download("deep/a.bin", back)
        assert back.read_bytes() == store.read("deep/a.bin") == content
        with pytest.raises(FileNotFoundError):
            store.download("deep/b.bin", back)

    def test_writing_takes_the_place_of_what_is_there(self, store: Store) -> None:
        store.write("a.json", b"one")
        store.write("a.json", b"two")
        assert store.read("a.json") == b"two"
        assert store.names() == ["a.json"]

    def test_creating_never_does(self, store: Store) -> None:
        store.create("a.json", b"one")
        with pytest.raises(FileExistsError):
            store.create("a.json", b"two")
        assert store.read("a.json") == b"one"
        store.write("b.json", b"written")
        with pytest.raises(FileExistsError):
            store.create("b.json", b"created")
        assert store.read("b.json") == b"written"
        assert sorted(store.names()) == ["a.json", "b.json"]

    def test_a_name_is_free_again_once_it_is_removed(self, store: Store) -> None:
        store.create("a.json", b"one")
        store.remove("a.json")
        store.remove("a.json")
        assert store.names() == []
        store.create("a.json", b"two")
        assert store.read("a.json") == b"two"

    def test_of_many_creators_at_once_one_wins(self, store: Store) -> None:
        store.create("zero", b"")  # what is made once per process is made
        start = threading.Barrier(8)

        def create(number: int) -> int | None:
            start.wait()
            try:
                store.create("a.json", str(number).encode())
            except FileExistsError:
                return None
            return number

        with ThreadPoolExecutor(8) as pool:
            won = [number for number in pool.map(create, range(8)) if number is not None]
        assert len(won) == 1
        assert store.read("a.json") == str(won[0]).encode()

    def test_a_file_in_a_folder_below(self, store: Store) -> None:
        store.write("shards/a.arrow", b"models")
        assert store.read("shards/a.arrow") == b"models"
        assert [name for name in store.names() if name != "shards"] == []

    def test_when_a_file_was_written(self, store: Store) -> None:
        store.write("a.json", b"")
        assert abs(store.written_at("a.json") - datetime.now(UTC)) < timedelta(minutes=5)

    def test_many_names(self, store: Store) -> None:
        names = [f"{number:010d}.json" for number in range(25)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: store.create(name, name.encode()), names))
        assert sorted(store.names()) == names
