"""Promoting and going back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelfleet.errors import BundleError, InputError, LedgerEmptyError, ReleaseConflictError, ReleaseError
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.promote import promote, rollback


def test_promoting_what_serves_already_changes_nothing(fleet):
    bundle = fleet.bundle("a")
    assert promote(fleet.ledger, bundle, actor="me", run_id="r").generation == 1
    assert promote(fleet.ledger, bundle) is None
    assert len(fleet.ledger.all()) == 1


def test_a_bundle_that_is_not_there_is_not_promoted(fleet):
    with pytest.raises(ReleaseError, match=r"cannot be promoted: /nowhere: the bundle is not there"):
        promote(fleet.ledger, BundleRef(uri="/nowhere", sha256="0" * 64))
    bundle = fleet.bundle("a")
    Path(bundle.uri, "index.parquet").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"cannot be promoted: .*index.parquet: 0 bytes, expected"):
        promote(fleet.ledger, bundle)
    assert fleet.ledger.latest() is None


def test_a_release_that_points_at_nothing(fleet):
    release = promote(fleet.ledger, fleet.bundle("a"))
    assert release.bundle.open().sha256 == release.bundle.sha256
    other = release.model_copy(update={"bundle": BundleRef(uri=release.bundle.uri, sha256="0" * 64)})
    with pytest.raises(BundleError, match="expected 0000"):
        other.bundle.open()
    shutil.rmtree(release.bundle.uri)
    with pytest.raises(ReleaseError, match="the bundle is not there; put it back"):
        fleet.ledger.latest().bundle.open()


def test_going_back_is_a_new_generation(fleet):
    a, b = fleet.bundle("a"), fleet.bundle("b")
    promote(fleet.ledger, a, model_version="1")
    promote(fleet.ledger, b, model_version="2")
    release = rollback(fleet.ledger, actor="me", note="worse on Mondays")
    assert (release.generation, release.rolled_back_to, release.previous) == (3, 1, 2)
    assert (release.bundle, release.model_version, release.reason) == (a, "1", "rollback")
    assert release.note == "worse on Mondays"


def test_going_back_twice_goes_two_steps(fleet):
    for name in "abc":
        promote(fleet.ledger, fleet.bundle(name))
    assert rollback(fleet.ledger).rolled_back_to == 2
    assert rollback(fleet.ledger).rolled_back_to == 1
    with pytest.raises(InputError, match="nothing to go back to"):
        rollback(fleet.ledger)
    promote(fleet.ledger, fleet.bundle("d"))
    back = rollback(fleet.ledger)
    assert back.bundle == fleet.ledger.get(1).bundle  # what served before d, not c


def test_going_back_to_a_chosen_generation(fleet):
    for name in "abc":
        promote(fleet.ledger, fleet.bundle(name))
    assert rollback(fleet.ledger, to=1).bundle == fleet.ledger.get(1).bundle
    assert rollback(fleet.ledger, to=3).bundle == fleet.ledger.get(3).bundle
    with pytest.raises(InputError, match=r"generation 3 has the bundle that serves now \(generation 5\)"):
        rollback(fleet.ledger, to=3)
    with pytest.raises(ReleaseError, match="no release 9"):
        rollback(fleet.ledger, to=9)


def test_going_back_with_nothing_there(fleet):
    with pytest.raises(LedgerEmptyError, match="fleet 'sales' has no release yet"):
        rollback(fleet.ledger)
    promote(fleet.ledger, fleet.bundle("a"))
    with pytest.raises(InputError, match="nothing to go back to"):
        rollback(fleet.ledger)


def test_going_back_to_a_bundle_that_is_gone(fleet):
    a = fleet.bundle("a")
    promote(fleet.ledger, a)
    promote(fleet.ledger, fleet.bundle("b"))
    shutil.rmtree(a.uri)
    with pytest.raises(ReleaseError, match=r"generation 1 cannot serve again; choose another with --to: .* not there"):
        rollback(fleet.ledger)
    assert fleet.ledger.latest().generation == 2


def test_going_back_only_while_it_is_the_newest(fleet):
    for name in "abc":
        promote(fleet.ledger, fleet.bundle(name))
    with pytest.raises(ReleaseConflictError, match="generation 2 was to be followed, but 3 is the newest"):
        rollback(fleet.ledger, to=1, after=2)
    assert rollback(fleet.ledger, after=3).generation == 4


def test_a_release_published_between_the_look_and_the_rollback(fleet, monkeypatch):
    for name in "ab":
        promote(fleet.ledger, fleet.bundle(name))
    latest = type(fleet.ledger).latest

    def somebody_is_quicker(ledger):
        found = latest(ledger)
        monkeypatch.undo()
        promote(fleet.ledger, fleet.bundle("c"))
        return found

    monkeypatch.setattr(type(fleet.ledger), "latest", somebody_is_quicker)
    with pytest.raises(ReleaseConflictError, match="generation 2 was to be followed, but 3 is the newest"):
        rollback(fleet.ledger)
