"""Collecting below a bucket, for which a folder stands here, while others publish."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.transfer import send
from modelfleet.errors import FleetBusyError, ReleaseConflictError, ReleaseError
from modelfleet.loop import collect_bucket
from modelfleet.releases import bucket_guard
from modelfleet.releases.bucket_guard import collecting, holding
from modelfleet.releases.promote import promote
from tests.loop.shared_fleet import SharedFleet


@pytest.fixture
def fleet(tmp_path):
    return SharedFleet(tmp_path)


def test_a_dry_run_holds_nobody_off(fleet):
    fleet.release("ab")
    with holding(fleet.folders.shared):
        assert len([item for item in fleet.collect(dry_run=True).removed if item.kind == "published"]) == 1


def test_a_long_collection_goes_in_turns(fleet, monkeypatch):
    fleet.release("abcdef")
    monkeypatch.setattr(bucket_guard, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(collect_bucket, "LOOK_SECONDS", 0.0)
    found = fleet.collect()
    assert fleet.there == {"f"}
    assert len([item for item in found.removed if item.kind == "published"]) == 5
    assert len([item for item in found.kept if item.kind == "published"]) == 1


def test_a_turn_that_had_no_time_for_the_last_files_is_ended_by_the_next(fleet, monkeypatch):
    fleet.release("ab")
    monkeypatch.setattr(collect_bucket, "LOOK_SECONDS", 0.0)
    over = iter([False, True, True])  # asked before the bundle, before its second file, and after it
    monkeypatch.setattr(bucket_guard.Turn, "over", property(lambda _: next(over, False)))
    found = fleet.collect()
    assert len([item for item in found.removed if item.kind == "published"]) == 1
    assert {name.partition("/")[0] for name in fleet.files()} == {fleet.at("b").name}


def test_while_somebody_publishes_nothing_is_removed(fleet, monkeypatch):
    fleet.release("ab")
    monkeypatch.setattr(bucket_guard, "COLLECTOR_WAITS", 0.0)
    monkeypatch.setattr(bucket_guard, "LOOK_SECONDS", 0.0)
    with holding(fleet.folders.shared), pytest.raises(FleetBusyError, match="being published"):
        fleet.collect()
    assert fleet.there == {"a", "b"}


def test_while_bundles_are_removed_nothing_is_promoted(fleet, monkeypatch):
    ref = fleet.sent("a")
    monkeypatch.setattr(bucket_guard, "PUBLISHER_WAITS", 0.0)
    monkeypatch.setattr(bucket_guard, "LOOK_SECONDS", 0.0)
    fleet.ledger.bundles_in_place = lambda: holding(fleet.folders.shared)
    with collecting(fleet.folders.shared), pytest.raises(FleetBusyError, match="nothing was published"):
        promote(fleet.ledger, ref)
    assert promote(fleet.ledger, ref).generation == 1


def test_a_release_never_names_what_was_removed(fleet, tmp_path, monkeypatch):
    """Three publishers, and a collector of another machine that keeps the newest only, each again and again."""
    collector = SharedFleet(tmp_path, "there")
    monkeypatch.setattr(bucket_guard, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(collect_bucket, "LOOK_SECONDS", 0.001)
    fleet.ledger.bundles_in_place = lambda: holding(fleet.folders.shared)
    bundles = {name: Bundle.open(fleet.bundle(name).uri) for name in "abcdef"}
    refs = {name: fleet.sent(name) for name in bundles}
    done = threading.Event()
    refused = []

    def publish(seed):
        choose = random.Random(seed)
        while not done.is_set():
            name = choose.choice("abcdef")
            try:
                if choose.random() < 0.5:
                    with holding(fleet.folders.shared):
                        send(bundles[name], fleet.folders.published)
                promote(fleet.ledger, refs[name])
            except (ReleaseConflictError, FleetBusyError):
                continue
            except ReleaseError as error:
                refused.append(str(error))

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(publish, seed) for seed in range(3)]
        try:
            removed = 0
            while (removed < 12 or not refused) and not any(one.done() for one in working):
                try:
                    removed += len([item for item in collector.collect().removed if item.kind == "published"])
                except FleetBusyError:
                    continue
                newest = fleet.ledger.latest()
                if newest is not None and fleet.ledger.newest() == newest.generation:
                    newest.bundle.open()
        finally:
            done.set()
        for one in working:
            one.result()
    assert all("cannot be promoted" in why for why in refused)
    fleet.ledger.latest().bundle.open()
