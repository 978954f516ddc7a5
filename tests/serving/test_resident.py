"""The resident fleet loads what is good, refuses what is not, and swaps without a gap or a mixture."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from modelfleet.errors import LedgerEmptyError
from modelfleet.releases import promote
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.loading import load_release
from modelfleet.serving.resident import ResidentFleet, get_resident
from modelfleet.serving.resident_config import ResidentConfig

Make = Callable[..., ResidentFleet]


def test_an_empty_ledger_is_told(shop: Any) -> None:
    with pytest.raises(LedgerEmptyError, match="fleet 'sales' has no release yet"):
        shop.resident().start()
    assert shop.leases.all() == []


def test_start_loads_the_newest_release_before_the_first_answer(shop: Any, resident: Make) -> None:
    shop.release_of()
    shop.release_of(add=1)
    fleet = resident()
    answers = fleet.predict([shop.request("1"), shop.request("2", store="new", x=2)])
    assert [(a.prediction, a.served_by, a.entity, a.generation) for a in answers] == [
        (102.0, "entity", "a", 2),
        (1003.0, "pooled", "new", 2),
    ]
    (lease,) = shop.leases.live()
    assert (lease.process, lease.serving, lease.refused) == ("p-1", 2, ())


def test_an_answer_says_everything(shop: Any) -> None:
    now = datetime(2026, 2, 3, tzinfo=UTC)
    shop.release_of(schema=shop.schema("binary", ("no", "yes")))
    fleet = shop.resident(clock=lambda: now)
    fleet.start()
    try:
        (answer,) = fleet.predict([shop.request("r-9", store="a", x=-101)])
    finally:
        fleet.close()
    score = 1 - 1 / (1 + np.exp(-1))
    assert answer == Answer("r-9", "sales", "a", "no", pytest.approx(score), 1, "entity", None, now.isoformat(), "p-1")
    assert shop.leases.all() == []


def test_a_newer_release_is_found_without_a_notice(shop: Any, resident: Make) -> None:
    shop.release_of()
    fleet = resident(lease_seconds=0.02)
    shop.release_of(add=1)
    shop.until(lambda: fleet.generation == 2)
    shop.until(lambda: shop.leases.all()[0].serving == 2)


def test_older_and_repeated_notices_do_nothing(shop: Any, resident: Make, monkeypatch: Any) -> None:
    shop.release_of()
    shop.release_of(add=1)
    fleet = resident()
    looked = threading.Event()
    monkeypatch.setattr(fleet._ledger, "generations", lambda: looked.set() or [])
    for generation in (1, 2, 2, -5, 0):
        fleet.notice(generation)
    assert not looked.wait(0.05)
    fleet.notice(3)
    assert looked.wait(20)
    assert fleet.generation == 2


def test_a_rollback_is_a_newer_release_like_any_other(shop: Any, resident: Make) -> None:
    shop.release_of()
    shop.release_of(add=1)
    fleet = resident()
    assert fleet.predict([shop.request()])[0].prediction == 102.0
    release = promote.rollback(shop.ledger)
    fleet.notice(release.generation)
    shop.until(lambda: fleet.generation == 3)
    answer = fleet.predict([shop.request()])[0]
    assert (answer.prediction, answer.generation) == (101.0, 3)


def test_unchanged_files_are_not_loaded_again(shop: Any, resident: Make) -> None:
    shop.release_of()
    fleet = resident()
    shop.release_of(shards={0: {"a": 100.0, "b": 200.0}, 1: {"c": 301.0}})
    fleet.notice(2)
    shop.until(lambda: fleet.generation == 2)
    assert fleet._current().models.reused == 2  # shard 0 and the pooled model


def test_entities_appear_and_disappear_and_return(shop: Any, resident: Make) -> None:
    shop.release_of(shards={0: {"a": 1.0}})
    fleet = resident()
    seen = []
    for generation, entities in enumerate([{"b": 1.0}, {"a": 5.0, "b": 1.0}], start=2):
        shop.release_of(shards={0: entities})
        fleet.notice(generation)
        shop.until(lambda wanted=generation: fleet.generation == wanted)
        seen.append([answer.served_by for answer in fleet.predict([shop.request(store="a"), shop.request(store="b")])])
    assert seen == [["pooled", "entity"], ["entity", "entity"]]


def test_no_batch_is_mixed_and_no_answer_missing_over_200_swaps(shop: Any, resident: Make) -> None:
    bundles = [shop.bundle(add=float(i)) for i in range(4)]
    shop.release(bundles[0])
    fleet = resident()
    batch = [shop.request(str(i), store="abcd"[i % 4], x=0) for i in range(40)]
    stop = threading.Event()
    wrong: list[object] = []
    served: list[list[int]] = [[], []]

    def ask(mine: list[int]) -> None:
        try:
            while not stop.is_set():
                answers = fleet.predict(batch)
                generations = {answer.generation for answer in answers}
                generation = answers[0].generation
                add = (generation - 1) % 4
                expected = [100.0 + add, 200.0 + add, 300.0 + add, 1000.0 + add] * 10
                if len(generations) != 1 or [answer.prediction for answer in answers] != expected:
                    wrong.append(answers)
                mine.append(generation)
                stop.wait(0.001)  # the other threads of a test process on two cores want their turn
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(mine,)) for mine in served]
    for thread in threads:
        thread.start()
    try:
        for swap in range(1, 201):
            release = shop.release(bundles[swap % 4])
            fleet.notice(release.generation)
            shop.until(lambda wanted=release.generation: fleet.generation == wanted or bool(wrong))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert fleet.generation == 201
    for mine in served:
        assert mine == sorted(mine)
        assert len(set(mine)) > 1


def test_the_swap_lets_go_of_the_models_before(shop: Any, resident: Make) -> None:
    shop.release_of()
    fleet = resident()
    before = fleet._current()
    gone = [weakref.ref(before), weakref.ref(before.models), weakref.ref(before.models.memory.recent()[0].predictor)]
    del before
    shop.release_of(add=1)
    fleet.notice(2)
    shop.until(lambda: fleet.generation == 2)
    shop.until(lambda: gc.collect() >= 0 and all(one() is None for one in gone))


def test_a_closed_fleet_loads_nothing_more(shop: Any) -> None:
    shop.release_of()
    fleet = shop.resident(lease_seconds=0.01)
    fleet.start()
    fleet.close()
    fleet.close()
    shop.release_of(add=1)
    fleet.notice(2)
    assert fleet.generation == 1
    assert not fleet._loader.is_alive()
    assert shop.leases.all() == []


def test_a_ledger_that_cannot_be_listed_now_is_listed_later(
    shop: Any, resident: Make, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    shop.release_of()
    fleet = resident(lease_seconds=0.01)
    real = fleet._ledger.generations
    failures = iter([PermissionError("not now")])

    def flaky() -> list[int]:
        for failure in failures:
            raise failure
        return real()

    monkeypatch.setattr(fleet._ledger, "generations", flaky)
    shop.release_of(add=1)
    shop.until(lambda: fleet.generation == 2)
    assert "looking for a newer release failed" in caplog.text


def test_a_process_has_one_resident_fleet(shop: Any) -> None:
    shop.release_of()
    config = ResidentConfig("sales", str(shop.folders.releases), str(shop.folders.leases), job="j", lease_seconds=3600)
    found: list[ResidentFleet] = []
    threads = [threading.Thread(target=lambda: found.append(get_resident(config))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        assert len(found) == 8
        assert len({id(one) for one in found}) == 1
        assert [lease.job for lease in shop.leases.live()] == ["j"]
    finally:
        found[0].close()
    again = get_resident(config)
    assert again is not found[0]
    again.close()


def test_a_lease_is_removed_when_the_process_ends(shop: Any, fussy: Any) -> None:
    import subprocess
    import sys
    from pathlib import Path

    shop.release_of()
    config = [str(shop.folders.releases), str(shop.folders.leases)]
    code = (
        "import json, sys\n"
        "from modelfleet.families import catalog\n"
        "catalog.BUILT_IN['fussy'] = 'fussy_family:FussyFamily'\n"
        "from modelfleet.serving.resident import ResidentConfig, get_resident\n"
        "from modelfleet.serving.lease import LeaseFolder\n"
        "from pathlib import Path\n"
        f"releases, leases = {json.dumps(config)}\n"
        "get_resident(ResidentConfig('sales', releases, leases))\n"
        "assert len(LeaseFolder(Path(leases)).live()) == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(fussy.__file__).parent, timeout=120)
    assert shop.leases.all() == []


def test_what_cannot_be_answered_is_a_dead_letter_with_its_generation(shop: Any, resident: Make) -> None:
    shop.release_of()
    request = shop.request("r-1", x="much")
    (letter,) = resident().predict([request])
    assert isinstance(letter, DeadLetter)
    assert (letter.request_id, letter.entity, letter.generation, letter.stage) == ("r-1", "a", 1, "predict")
    assert "column 'x' is 'much': expected a number" in letter.reason
    assert letter.original_bytes() == request.original


def test_the_lease_names_the_bundles_in_memory_and_the_one_being_loaded(
    shop: Any, resident: Make, monkeypatch: Any
) -> None:
    first = shop.release_of()
    fleet = resident()
    lease = shop.leases.all()[0]
    assert (lease.bundle, lease.holding) == (first.bundle.uri, (first.bundle.uri,))
    go_on = threading.Event()

    def slow(*args: Any, **named: Any) -> Any:
        assert go_on.wait(60)
        return load_release(*args, **named)

    monkeypatch.setattr("modelfleet.serving.resident.load_release", slow)
    second = shop.release_of(add=1)
    fleet.notice(2)
    both = (first.bundle.uri, second.bundle.uri)
    shop.until(lambda: shop.leases.all()[0].holding == both)
    assert shop.leases.all()[0].bundle == first.bundle.uri
    batch = fleet._current()  # what a batch holds that is not done when the swap comes
    go_on.set()
    shop.until(lambda: shop.leases.all()[0].bundle == second.bundle.uri)
    assert shop.leases.all()[0].holding == both
    del batch
    fleet._keeper.renew()
    shop.until(lambda: gc.collect() >= 0 and [fleet._keeper.renew()] and shop.leases.all()[0].holding == both[1:])
