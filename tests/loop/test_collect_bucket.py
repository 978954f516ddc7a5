"""Collecting below a bucket, for which a folder stands here; ``tests/cloud/stores`` does the same on buckets."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pytest

from modelfleet.errors import StoreUnavailableError
from modelfleet.releases.manifest import BundleRef
from modelfleet.spec.retention import RetentionSpec
from modelfleet.stores.local import LocalStore
from tests.loop.aged_fleet import NEWEST_ONLY, now
from tests.loop.shared_fleet import LATER, SharedFleet


@pytest.fixture
def fleet(tmp_path):
    return SharedFleet(tmp_path)


def reasons(found, kind):
    return [" ".join(item.reasons) for item in found.kept if item.kind == kind]


def test_what_nothing_needs_goes_from_the_bucket_too(fleet):
    fleet.release("abc")
    fleet.sent("e")
    planned = fleet.collect(dry_run=True)
    assert fleet.there == {"a", "b", "c", "e"}
    done = fleet.collect()
    assert [i for i in planned.removed if i.kind == "published"] == [i for i in done.removed if i.kind == "published"]
    assert fleet.there == {"c"}
    assert {name.partition("/")[0] for name in fleet.files()} == {fleet.at("c").name}
    assert reasons(done, "published") == [
        "generation 3 is the newest a job that starts, from a savepoint or from nothing, serves generation 3"
    ]
    assert fleet.files("holds") == set()
    assert fleet.collect().removed == ()


def test_what_was_sent_lately_stays_whatever_is_asked(fleet):
    fleet.release("ab")
    found = fleet.collect(now=now() + timedelta(hours=23))
    assert fleet.there == {"a", "b"}
    assert "it was sent 1.0 days ago: a run of another machine may still release it" in reasons(found, "published")
    fleet.collect(now=now() + LATER, retention=RetentionSpec(generations=1, days=3))
    assert fleet.there == {"a", "b"}


def test_sending_what_is_there_makes_it_young_again(fleet):
    fleet.release("ab")
    for path in fleet.folders.published.rglob("*.*"):
        os.utime(path, ((now() - timedelta(days=9)).timestamp(),) * 2)
    fleet.sent("a")
    fleet.collect(now=now())
    assert fleet.there == {"a", "b"}


def test_what_processes_hold_and_aliases_name_stays(fleet):
    fleet.release("abcdef")
    later = -LATER - timedelta(minutes=1)
    fleet.lease("one", 1, ended=later)
    fleet.lease("two", 6, holding=(fleet.sent("b").uri,), ended=later)
    fleet.registry.versions["sales"] = [fleet.refs["c"].sha256]
    fleet.registry.aliases["sales"] = "1"
    fleet.collect()
    assert fleet.there == {"a", "b", "c", "f"}


def test_what_a_run_of_this_machine_may_release_stays(fleet):
    fleet.release("a")
    made = fleet.sent("b")
    run = fleet.run("going", register={"bundle": made.uri, "bundle_sha256": made.sha256})
    with run.exclusively():
        fleet.collect()
    assert fleet.there == {"a", "b"}


def test_a_lease_that_cannot_be_read_just_now_ends_it(fleet, monkeypatch):
    fleet.release("ab")
    fleet.lease("one", 1)
    read = LocalStore.read

    def away(store, name):
        if name == "one.json":
            raise StoreUnavailableError("away")
        return read(store, name)

    monkeypatch.setattr(LocalStore, "read", away)
    with pytest.raises(StoreUnavailableError):
        fleet.collect()
    monkeypatch.undo()
    assert fleet.there == {"a", "b"}


def test_what_does_not_answer_is_not_gone(fleet, monkeypatch):
    fleet.release("ab")
    read = LocalStore.read

    def away(store, name):
        if name == "bundle.json":
            raise StoreUnavailableError("away")
        return read(store, name)

    far = BundleRef(uri="gs://shop/bundles/a", sha256="a" * 64)
    monkeypatch.setattr("modelfleet.releases.manifest.open_store", lambda _: LocalStore(fleet.folders.published))
    assert not far.there
    monkeypatch.setattr(LocalStore, "written_at", lambda store, name: away(store, "bundle.json"))
    assert far.there
    assert BundleRef(uri="http://shop/bundles/a", sha256="a" * 64).there
    fleet.ledger.publish(bundle=far, reason="promote")
    monkeypatch.setattr("modelfleet.bundles.storage.open_store", lambda _: LocalStore(fleet.folders.published))
    monkeypatch.setattr(LocalStore, "read", away)
    with pytest.raises(StoreUnavailableError, match="away"):  # which release is whole is not known
        fleet.collect()
    monkeypatch.undo()
    assert fleet.there == {"a", "b"}


def test_where_no_release_can_be_read_everything_stays(fleet):
    fleet.release("ab")
    for generation in (1, 2):
        fleet.ledger.path(generation).write_bytes(b"{")
    assert "none of the 2 release files can be read" in reasons(fleet.collect(), "published")[0]
    assert fleet.there == {"a", "b"}


def test_half_of_a_bundle_goes_once_nobody_sends_it_any_more(fleet):
    fleet.release("ab")
    half = fleet.at("a")
    (half / "bundle.json").unlink()
    found = fleet.collect(now=now() + timedelta(hours=23), retention=NEWEST_ONLY)
    assert "it has no manifest (yet), and is not older than a day" in reasons(found, "published")
    fleet.collect()
    assert not any(name.startswith(half.name) for name in fleet.files())


def test_nobody_ever_opens_half_of_a_bundle(fleet, monkeypatch):
    fleet.release("ab")
    name = fleet.at("a").name
    remove = LocalStore.remove
    removed = []

    def until_the_second(store, file):
        if file.endswith((".parquet", ".arrow")):
            raise StoreUnavailableError("away")
        removed.append(file)
        remove(store, file)

    monkeypatch.setattr(LocalStore, "remove", until_the_second)
    with pytest.raises(StoreUnavailableError):
        fleet.collect()
    assert removed[0] == "bundle.json"
    assert fleet.there == {"b"}
    assert any(file.startswith(name) for file in fleet.files())
    monkeypatch.undo()
    fleet.collect()
    assert not any(file.startswith(name) for file in fleet.files())


def test_copies_that_nobody_works_with_go(fleet):
    fleet.release("a")
    fleet.copy("failed", days=9)
    fleet.copy("fresh", days=0.5)
    fleet.copy("busy", days=9)
    fleet.copy("job", days=9, part="scores")
    run = fleet.run("busy")
    planned = fleet.collect(dry_run=True)
    with run.exclusively():
        found = fleet.collect()
    assert {Path(item.path).name for item in found.removed if item.kind == "copy"} == {"failed", "job"}
    assert {Path(item.path).name for item in planned.removed if item.kind == "copy"} == {"failed", "busy", "job"}
    assert {name.partition("/")[0] for name in fleet.files("runs") | fleet.files("scores")} == {"fresh", "busy"}
    assert any("it is not older than 1 days" in why for why in reasons(found, "copy"))
    assert any("another process works on it" in why for why in reasons(found, "copy"))


def test_of_a_copy_goes_first_what_says_that_it_is_whole(fleet, monkeypatch):
    fleet.copy("failed", days=9)
    remove = LocalStore.remove

    def failing(store, name):
        if name.startswith("candidate/"):
            raise StoreUnavailableError("away")
        remove(store, name)

    monkeypatch.setattr(LocalStore, "remove", failing)
    with pytest.raises(StoreUnavailableError):
        fleet.collect()
    assert fleet.files("runs") == {"failed/candidate/a.arrow"}
