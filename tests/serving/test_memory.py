"""The resident fleet under a memory limit: every answer is the same, only the waiting is not."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelfleet.bundles.loaded import LoadedBundle
from modelfleet.bundles.shard_memory import Shard, ShardMemory
from modelfleet.serving.answer import Answer
from modelfleet.serving.lease import Lease
from modelfleet.serving.loading import load_release

Make = Callable[..., Any]
SHARDS = {i: {f"e{i}-{j}": 10.0 * i + j for j in range(5)} for i in range(6)}


def ask(fleet: Any, shop: Any, *stores: str) -> list[float]:
    answers = fleet.predict([shop.request(str(i), store=store) for i, store in enumerate(stores)])
    assert all(isinstance(answer, Answer) for answer in answers), answers
    return [answer.prediction - 1.0 for answer in answers]


def size_of_one(shop: Any) -> int:
    fleet = load_release(shop.ledger.latest(), fleet="sales")
    return max(shard.nbytes for shard in fleet.models.memory.recent())


def indices(shop: Any, *, by_block: bool = False) -> int:
    models = load_release(shop.ledger.latest(), fleet="sales", lazy=True).models
    if by_block:
        models.by_block()
    return models.nbytes


def test_every_entity_is_answered_with_room_for_two_files(shop: Any, resident: Make) -> None:
    shop.release_of(shards=SHARDS)
    limit = 2 * size_of_one(shop) + indices(shop, by_block=True)
    fleet = resident(memory_bytes=limit)
    everybody = {entity: value for values in SHARDS.values() for entity, value in values.items()}
    for _ in range(3):
        assert ask(fleet, shop, *everybody, "stranger") == [*everybody.values(), 1000.0]
    fleet._keeper.renew()
    shop.until(lambda: shop.leases.live()[0].memory.misses > len(SHARDS) + 1)
    lease = shop.leases.live()[0]
    assert 0 < lease.memory.nbytes + lease.index_bytes <= limit
    assert lease.memory.limit == limit - lease.index_bytes
    assert lease.memory.evictions > 0


def test_without_a_limit_every_file_is_loaded_before_the_swap(shop: Any, resident: Make) -> None:
    shop.release_of(shards=SHARDS)
    resident()
    assert shop.leases.live()[0].memory.files == len(SHARDS) + 1
    assert shop.leases.live()[0].memory.limit is None


def test_what_fits_is_loaded_before_the_swap_under_a_limit_too(shop: Any, resident: Make) -> None:
    shop.release_of(shards=SHARDS)
    fleet = resident(memory_bytes=10_000_000)
    misses = fleet._memory.use.misses
    assert ask(fleet, shop, "e3-1") == [31.0]
    assert fleet._memory.use.misses == misses == len(SHARDS) + 1


def test_a_release_brings_the_shards_in_use_first(shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.release_of(shards=SHARDS)
    memory = ShardMemory(4 * size_of_one(shop) + 10)
    first = load_release(shop.ledger.latest(), fleet="sales", memory=memory)
    for entity in ("e4-0", "e1-0"):
        first.models.predict_slots(encoded, first.models.slots_of([entity]))
    read: list[int | None] = []
    real = LoadedBundle._load
    monkeypatch.setattr(LoadedBundle, "_load", lambda self, part: read.append(part.file.shard) or real(self, part))
    second = load_release(shop.release_of(shards=SHARDS, add=5.0), fleet="sales", memory=memory)
    assert read[:2] == [1, 4]
    assert second.models.reused == 0


def encoded(schema: Any) -> Any:
    from modelfleet.serving.loading import plain_rows

    return plain_rows(schema, 1)


def test_unchanged_shards_stay_and_entities_come_and_go(shop: Any, resident: Make) -> None:
    shop.release_of(shards={0: {"a": 1.0}, 1: {"b": 2.0}})
    fleet = resident(poll_seconds=0.01)
    kept = fleet._current().models
    shards: list[Shard] = [one for one in fleet._memory.recent() if one.file.shard == 0]
    shop.release_of(shards={0: {"a": 1.0}, 2: {"c": 3.0}}, pooled=1000.0)
    shop.until(lambda: fleet.generation == 2)
    assert ask(fleet, shop, "a", "b", "c") == [1.0, 1000.0, 3.0]
    assert shards[0] in fleet._memory.recent()
    shop.release_of(shards={0: {"a": 1.0}, 1: {"b": 2.5}})
    shop.until(lambda: fleet.generation == 3)
    assert ask(fleet, shop, "a", "b", "c") == [1.0, 2.5, 1000.0]
    del kept


def test_the_limit_is_the_machines_and_shared_by_its_processes(shop: Any, resident: Make) -> None:
    shop.release_of(shards=SHARDS)
    fleet = resident(memory_bytes=1_000_000, poll_seconds=0.01)
    own = indices(shop)
    assert fleet._memory.limit == 1_000_000 - own
    now = datetime.now(UTC)

    def lease(process: str, host: str) -> Lease:
        return Lease(
            process=process, fleet="sales", job="", host=host, pid=1, serving=1, serving_since=now, refused=(),
            renewed_at=now, expires_at=now + timedelta(hours=1),
        )  # fmt: skip

    shop.leases.write(lease("p-elsewhere", "another-host"))
    shop.leases.write(lease("p-2", fleet._host))
    shop.until(lambda: fleet._memory.limit == 500_000 - own)
    shop.leases.remove("p-2")
    shop.until(lambda: fleet._memory.limit == 1_000_000 - own)


def test_a_file_damaged_after_the_swap_fails_its_rows_only(shop: Any, resident: Make) -> None:
    release = shop.release_of(shards=SHARDS)
    fleet = resident(memory_bytes=indices(shop) + 1)
    damaged = next(Path(release.bundle.uri, "shards").glob("00003-*"))
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    good, bad = fleet.predict([shop.request("1", store="e2-1"), shop.request("2", store="e3-1")])
    assert isinstance(good, Answer)
    assert "the model cannot be loaded" in bad.reason
    assert "sha256 is" in bad.reason


def test_three_hundred_swaps_leave_one_bundle_in_memory(shop: Any, resident: Make) -> None:
    """By what is alive, not by what the system gives back: every old index, file and predictor must be gone."""
    bundles = [shop.bundle(shards=SHARDS, add=float(i)) for i in range(3)]
    shop.release(bundles[0])
    fleet = resident(poll_seconds=0.001)
    made: list[weakref.ref[object]] = []
    files = []
    for i in range(1, 301):
        generation = shop.release(bundles[i % 3]).generation
        fleet.notice(generation)
        shop.until(lambda wanted=generation: fleet.generation == wanted)
        serving = fleet._current()
        made += [weakref.ref(one) for one in (serving, serving.models, serving.models.bundle)]
        made += [weakref.ref(one) for one in fleet._memory.recent()]
        files.append(fleet._memory.use.files)
        del serving
    # The bundle before may not be gone yet at that moment, and never the one before that
    assert max(files) <= 2 * (len(SHARDS) + 1)
    # What serves, its models, its bundle, and its files as each of the last swaps found them
    shop.until(lambda: gc.collect() >= 0 and len({id(one()) for one in made if one()}) <= 3 + len(SHARDS) + 1)
    assert len(fleet._memory._claims) == fleet._memory.use.files == len(SHARDS) + 1
