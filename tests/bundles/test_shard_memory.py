"""The memory of model files: bounded, shared, and never taken from under a prediction."""

from __future__ import annotations

import gc
import threading
from typing import Any

import pyarrow as pa
import pytest

from modelfleet.bundles.format import ShardFile
from modelfleet.bundles.shard_memory import Part, Shard, ShardMemory


class Owner:
    """Whoever has the files: a loaded bundle in real life."""


def file(name: str, nbytes: int = 10) -> ShardFile:
    sha256 = name.encode().hex().rjust(64, "0")
    return ShardFile(
        path=f"shards/{name}.arrow", shard=0, family="f", parameters={}, fingerprint="p", libraries={}, rows=1,
        bytes=nbytes, sha256=sha256,
    )  # fmt: skip


class Disk:
    """Loads files of so many bytes in memory, and remembers which."""

    def __init__(self, memory: ShardMemory, *files: ShardFile, times: int = 1) -> None:
        self.memory, self.read, self.times = memory, [], times
        self.owner = Owner()
        memory.claim(self.owner, [one.sha256 for one in files])

    def use(self, of: ShardFile) -> Any:
        return self.memory.using(Part.whole(of), lambda: self._load(of))

    def touch(self, *files: ShardFile) -> None:
        for one in files:
            with self.use(one):
                pass

    def _load(self, of: ShardFile) -> Shard:
        self.read.append(of.path[7:-6])
        return Shard(of, None, None, pa.chunked_array([["e"]]), of.bytes * self.times)  # type: ignore[arg-type]


A, B, C, D = (file(name) for name in "abcd")


def test_without_a_limit_everything_stays() -> None:
    disk = Disk(ShardMemory(), A, B, C)
    disk.touch(A, B, C, A, B, C)
    assert disk.read == ["a", "b", "c"]
    use = disk.memory.use
    assert (use.nbytes, use.limit, use.files, use.hits, use.misses, use.evictions) == (30, None, 3, 3, 3, 0)


def test_the_least_recently_used_leaves_first() -> None:
    disk = Disk(ShardMemory(25), A, B, C)
    disk.touch(A, B, A, C, A, B)
    assert disk.read == ["a", "b", "c", "b"]
    assert [shard.file.path[7:-6] for shard in disk.memory.recent()] == ["b", "a"]
    assert (disk.memory.use.nbytes, disk.memory.use.evictions) == (20, 2)


def test_a_lower_limit_takes_effect_at_once_and_a_file_in_use_stays() -> None:
    disk = Disk(ShardMemory(100), A, B, C)
    disk.touch(B, C)
    with disk.use(A):
        disk.memory.limit = 5
        assert [shard.file for shard in disk.memory.recent()] == [A]
    assert disk.memory.use.nbytes == 0


def test_a_file_larger_than_the_limit_is_used_alone() -> None:
    big = file("big", 1000)
    disk = Disk(ShardMemory(100), A, big)
    disk.touch(A)
    with disk.use(big) as shard:
        assert shard.nbytes == 1000
        assert disk.memory.use.files == 1
    assert disk.memory.use.files == 0


def test_sizes_are_guessed_from_what_was_loaded() -> None:
    disk = Disk(ShardMemory(100), A, B, C, times=4)
    assert disk.memory.fits([A, B])
    disk.touch(A)
    assert disk.memory.size(Part.whole(B)) == 40
    assert disk.memory.fits([A, B])
    assert not disk.memory.fits([B, C])  # A stays beside them
    assert ShardMemory().fits([B, C])


def test_whoever_needs_room_waits_until_a_file_is_let_go() -> None:
    disk = Disk(ShardMemory(15), A, B)
    done = threading.Event()

    def other() -> None:
        with disk.use(B):
            done.set()

    thread = threading.Thread(target=other)
    with disk.use(A):
        thread.start()
        assert not done.wait(0.2)
        assert disk.read == ["a"]
    thread.join(30)
    assert done.is_set()
    assert disk.read == ["a", "b"]


def test_threads_that_want_one_file_load_it_once() -> None:
    memory = ShardMemory()
    loading, go_on = threading.Event(), threading.Event()
    read: list[int] = []
    owner = Owner()
    memory.claim(owner, [A.sha256])

    def load() -> Shard:
        read.append(1)
        loading.set()
        assert go_on.wait(30)
        return Shard(A, None, None, pa.chunked_array([["e"]]), 10)  # type: ignore[arg-type]

    def use() -> None:
        with memory.using(Part.whole(A), load):
            pass

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert loading.wait(30)
    go_on.set()
    for thread in threads:
        thread.join(30)
    assert read == [1]
    assert (memory.use.hits, memory.use.misses) == (7, 1)


def test_a_file_that_cannot_be_loaded_is_asked_for_again() -> None:
    disk = Disk(ShardMemory(15), A)

    def broken() -> Shard:
        raise OSError("not now")

    with pytest.raises(OSError, match="not now"), disk.memory.using(Part.whole(A), broken):
        raise AssertionError
    disk.touch(A)
    assert disk.read == ["a"]


def test_files_that_no_living_owner_has_are_let_go() -> None:
    memory = ShardMemory()
    old, new = Disk(memory, A, B), Disk(memory, B, C)
    old.touch(A, B)
    new.touch(B, C)
    assert new.read == ["c"]
    del old
    gc.collect()
    assert memory.use.files == 2
    with new.use(C):
        del new.owner
        gc.collect()
        assert memory.use.files == 0
    assert memory.use.nbytes == 0


def test_a_file_whose_owner_goes_while_it_is_read_does_not_stay() -> None:
    disk = Disk(ShardMemory(), D)

    def load() -> Shard:
        del disk.owner
        gc.collect()
        return Shard(D, None, None, pa.chunked_array([["e"]]), 10)  # type: ignore[arg-type]

    with disk.memory.using(Part.whole(D), load):
        pass
    assert disk.memory.use.nbytes == 0
