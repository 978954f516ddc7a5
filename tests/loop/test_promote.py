"""Promoting a run: once, only over what it was compared with, and whole after any crash."""

from __future__ import annotations

import pytest

from modelfleet.errors import RegistryUnavailableError, ReleaseConflictError
from modelfleet.loop.confirm import confirm
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.releases.pin import pin, unpin
from modelfleet.releases.promote import rollback


def registered(shop, models, **more):
    run = shop.run(models, **more)
    register(run, shop.registry)
    return run


def promoted(shop, models, **more):
    run = registered(shop, models, **more)
    return run, promote(run, shop.registry)


def test_the_first_generation(shop):
    run, result = promoted(shop, {"a": 1.0}, reason="first")
    release = shop.ledger.latest()
    assert (result.generation, result.outcome) == (1, "promoted")
    assert (release.run_id, release.actor, release.note) == (run.record.run_id, "tester", "first")
    assert release.bundle.sha256 == run.read("register")["bundle_sha256"]
    assert shop.registry.champion("sales") == release.model_version == "1"
    assert run.read("promote") == {"generation": 1, "outcome": "promoted", "reason": ""}


def test_a_refused_run_promotes_nothing(shop):
    run, result = promoted(shop, {"a": 1.0}, refused=True)
    assert (result.generation, result.outcome) == (None, "refused")
    assert shop.ledger.latest() is None
    assert run.read("promote")["outcome"] == "refused"


def test_the_bundle_that_serves_already(shop):
    promoted(shop, {"a": 1.0})
    _, result = promoted(shop, {"a": 1.0})
    assert (result.generation, result.outcome) == (None, "no_change")
    assert len(shop.ledger.all()) == 1


def test_again_publishes_once(shop):
    run, first = promoted(shop, {"a": 1.0})
    assert promote(run, shop.registry) == first
    assert len(shop.ledger.all()) == 1


def test_a_retried_task_does_not_undo_a_rollback(shop):
    promoted(shop, {"a": 1.0})
    run, second = promoted(shop, {"a": 2.0})
    rollback(shop.ledger)
    assert promote(run, shop.registry) == second
    assert shop.ledger.latest().reason == "rollback"
    assert shop.registry.champion("sales") == "1"


def test_a_run_compared_with_something_else_than_serves_now(shop):
    promoted(shop, {"a": 1.0})
    promoted(shop, {"a": 2.0})
    late = registered(shop, {"a": 3.0})
    rollback(shop.ledger, actor="ann")
    with pytest.raises(
        ReleaseConflictError, match=r"compared with generation 2, but generation 3 \(rollback by 'ann'\)"
    ):
        promote(late, shop.registry)
    assert shop.ledger.latest().generation == 3
    assert not late.has("promote")


def test_of_two_runs_at_once_the_second_is_told(shop):
    one = registered(shop, {"a": 1.0})
    two = registered(shop, {"a": 2.0})
    promote(one, shop.registry)
    with pytest.raises(ReleaseConflictError, match=r"compared with nothing, but generation 1"):
        promote(two, shop.registry)


def test_a_release_published_between_the_look_and_the_write(shop, monkeypatch):
    promoted(shop, {"a": 1.0})
    promoted(shop, {"a": 2.0})
    late = registered(shop, {"a": 3.0})

    def somebody_is_quicker(_):
        rollback(shop.ledger, actor="ann")
        return 0

    monkeypatch.setattr(shop.registry, "floor", somebody_is_quicker)
    with pytest.raises(ReleaseConflictError, match="generation 2 was to be followed, but 3 is the newest"):
        promote(late, shop.registry)
    assert shop.ledger.latest().reason == "rollback"


def test_the_registry_down_before_the_release(shop, monkeypatch):
    run = registered(shop, {"a": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(shop.registry, "floor", lambda _: (_ for _ in ()).throw(RegistryUnavailableError("down")))
        with pytest.raises(RegistryUnavailableError):
            promote(run, shop.registry)
        assert shop.ledger.latest() is None
    assert promote(run, shop.registry).generation == 1


def test_the_registry_down_after_the_release(shop, monkeypatch, caplog):
    run = registered(shop, {"a": 1.0})
    with monkeypatch.context() as patch:
        patch.setattr(shop.registry, "reconcile", lambda *_: (_ for _ in ()).throw(RegistryUnavailableError("down")))
        assert promote(run, shop.registry).generation == 1
    assert "the release stands" in caplog.text
    assert shop.registry.champion("sales") is None
    assert promote(run, shop.registry).generation == 1
    assert shop.registry.champion("sales") == "1"


def test_a_crash_after_the_release(shop, monkeypatch):
    run = registered(shop, {"a": 1.0})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shop.registry, "reconcile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        promote(run, shop.registry)
    assert not run.has("promote")
    assert promote(run, shop.registry).generation == 1
    assert len(shop.ledger.all()) == 1


def test_numbers_the_registry_knows_are_not_given_out_again(shop):
    for value in (1.0, 2.0, 3.0):
        promoted(shop, {"a": value})
    for generation in (1, 2, 3):
        shop.ledger.path(generation).unlink()
    _, result = promoted(shop, {"a": 4.0})
    assert result.generation == 4


def test_a_pinned_fleet_promotes_nothing_until_it_is_unpinned(shop):
    promoted(shop, {"a": 1.0})
    pin(shop.ledger, note="an incident", actor="ann")
    run, result = promoted(shop, {"a": 2.0})
    assert (result.generation, result.outcome) == (None, "pinned")
    assert "pinned by 'ann'" in result.reason
    assert "because: an incident" in result.reason
    assert run.read("promote")["reason"] == result.reason
    assert confirm(run, shop.registry).outcome == "nothing_to_confirm"
    unpin(shop.ledger)
    assert promote(run, shop.registry).generation == 4  # what the run has made is not lost


def test_a_pin_is_told_before_anything_that_a_retry_could_help(shop):
    promoted(shop, {"a": 1.0})
    promoted(shop, {"a": 2.0})
    late = registered(shop, {"a": 3.0})
    rollback(shop.ledger)
    pin(shop.ledger, note="x")
    assert promote(late, shop.registry).outcome == "pinned"
