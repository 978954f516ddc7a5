"""Pinning: nothing is promoted, people and confirm may still go back, and the pin is in every release until it ends."""

from __future__ import annotations

import contextlib
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.errors import InputError, LedgerEmptyError, PinnedError, ReleaseConflictError, RetryableError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.pin import check_not_pinned, pin, pinned_by, unpin
from modelfleet.releases.promote import promote, rollback


@pytest.fixture
def three(fleet):
    """Three generations, of bundles a, b and c."""
    for name in "abc":
        promote(fleet.ledger, fleet.bundle(name))
    return fleet


def test_while_pinned_nothing_is_promoted_and_the_refusal_says_who_and_why(three):
    release = pin(three.ledger, note="complaints since noon", actor="ann")
    assert (release.generation, release.reason, release.pinned, release.previous) == (4, "pin", True, 3)
    assert release.bundle == three.ledger.get(3).bundle
    assert release.rolled_back_to is None
    with pytest.raises(
        PinnedError, match=r"pinned by 'ann' since .* UTC \(generation 4\), because: complaints .*modelfleet unpin"
    ) as caught:
        promote(three.ledger, three.bundle("d"))
    assert caught.value.exit_code == 3
    assert not isinstance(caught.value, RetryableError)
    assert three.ledger.newest() == 4
    assert promote(three.ledger, release.bundle) is None  # it serves already: nothing to refuse


def test_a_rollback_is_allowed_and_keeps_the_pin(three):
    pin(three.ledger, note="x", actor="ann")
    back = rollback(three.ledger, actor="bob")
    assert (back.rolled_back_to, back.pinned) == (2, True)
    assert pinned_by(three.ledger).generation == 4
    with pytest.raises(PinnedError, match=r"by 'ann' .*\(generation 4\)"):
        promote(three.ledger, three.bundle("d"))


def test_unpinning_lets_promotions_through(three):
    pin(three.ledger, note="x")
    release = unpin(three.ledger, actor="ann", note="it was the network")
    assert (release.reason, release.pinned, release.note) == ("unpin", False, "it was the network")
    check_not_pinned(three.ledger)
    assert pinned_by(three.ledger) is None
    assert promote(three.ledger, three.bundle("d")).pinned is False


def test_pinning_to_an_earlier_generation(three):
    release = pin(three.ledger, note="c is bad", to=1)
    assert (release.bundle, release.rolled_back_to, release.pinned) == (three.ledger.get(1).bundle, 1, True)
    again = pin(three.ledger, note="a is worse", to=2)
    assert (again.rolled_back_to, pinned_by(three.ledger)) == (2, again)


def test_going_back_past_a_pin_counts_from_where_the_bundle_stood(three):
    """b serves again; pinning and unpinning it does not make c, which was left, the one before."""
    rollback(three.ledger)
    pin(three.ledger, note="x")
    unpin(three.ledger)
    assert rollback(three.ledger).bundle == three.ledger.get(1).bundle


def test_what_cannot_be_pinned_or_unpinned_says_why(fleet):
    for call in (lambda: pin(fleet.ledger, note="x"), lambda: unpin(fleet.ledger)):
        with pytest.raises(LedgerEmptyError):
            call()
    promote(fleet.ledger, fleet.bundle("a"))
    with pytest.raises(InputError, match="fleet 'sales' is not pinned"):
        unpin(fleet.ledger)
    with pytest.raises(InputError, match="a pin needs a reason"):
        pin(fleet.ledger, note=" ")
    pin(fleet.ledger, note="why", actor="ann")
    with pytest.raises(InputError, match=r"is pinned by 'ann' since .* because: why already"):
        pin(fleet.ledger, note="again", to=1)
    assert fleet.ledger.newest() == 2


def test_a_pin_whose_release_is_gone_still_holds(three):
    pin(three.ledger, note="x")
    rollback(three.ledger, actor="bob")
    three.ledger.path(4).unlink()
    with pytest.raises(PinnedError, match=r"pinned by 'bob' since .* \(generation 5\)"):
        promote(three.ledger, three.bundle("d"))


def test_a_pin_published_while_a_promotion_is_on_its_way_wins(three, monkeypatch):
    from modelfleet.releases import promote as module

    def somebody_pins(*_, **__):
        pin(three.ledger, note="x")

    bundle = three.bundle("d")
    monkeypatch.setattr(module, "check_opens", somebody_pins)
    with pytest.raises(ReleaseConflictError, match="generation 3 was to be followed, but 4 is the newest"):
        promote(three.ledger, bundle)
    assert three.ledger.latest().reason == "pin"


def test_a_pin_among_many_promoters_is_never_overruled(three):
    bundles = [three.bundle(f"many-{number}") for number in range(6)]
    start = threading.Barrier(len(bundles) + 1)

    def work(bundle):
        start.wait()
        with contextlib.suppress(PinnedError, ReleaseConflictError):
            promote(Ledger(three.ledger.folder), bundle)

    threads = [threading.Thread(target=work, args=(bundle,)) for bundle in bundles]
    for thread in threads:
        thread.start()
    start.wait()
    while True:
        try:
            held = pin(Ledger(three.ledger.folder), note="x")
            break
        except ReleaseConflictError:
            continue
    for thread in threads:
        thread.join()
    assert three.ledger.latest() == held


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["promote", "rollback", "pin", "unpin"]), max_size=10))
def test_whatever_happens_the_state_is_that_of_the_last_pin_or_unpin(tmp_path_factory, monkeypatch, acts):
    from modelfleet.releases import promote as module
    from modelfleet.releases.manifest import BundleRef

    for check in ("check_opens", "check_serves_again"):
        monkeypatch.setattr(module, check, lambda *_, **__: None)
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "sales" / "releases")
    held = False
    for number, act in enumerate(["promote", *acts]):
        before = ledger.newest()
        try:
            if act == "promote":
                promote(ledger, BundleRef(uri="/x", sha256=f"{number:064x}"))
            elif act == "rollback":
                rollback(ledger)
            elif act == "pin":
                pin(ledger, note="x")
            else:
                unpin(ledger)
        except PinnedError:
            assert (act, held) == ("promote", True)
        except InputError:
            assert (act, held) in {("pin", True), ("unpin", False), ("rollback", True), ("rollback", False)}
        else:
            held = act == "pin" or (held and act != "unpin")
            assert ledger.newest() == before + 1
        assert ledger.latest().pinned is held
