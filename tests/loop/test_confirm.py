"""Confirming: by the leases, with a clock that the tests turn."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelfleet.errors import ModelfleetError, StepError
from modelfleet.loop.confirm import confirm
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.pin import pin
from modelfleet.serving.lease import Lease, Refusal


class Time:
    """A clock that moves only when somebody waits; ``then`` happens at its second, ``always`` at every wait."""

    def __init__(self, start):
        self.start = self.now = start
        self.jumped = timedelta()
        self.events = []
        self.always = []

    def clock(self):
        return self.now + self.jumped

    def monotonic(self):
        return (self.now - self.start).total_seconds()

    def wait(self, seconds):
        assert seconds > 0
        self.now += timedelta(seconds=seconds)
        for event in self.always:
            event()
        while self.events and self.events[0][0] <= (self.now - self.start).total_seconds():
            self.events.pop(0)[1]()

    def then(self, second, event):
        self.events = sorted([*self.events, (second, event)], key=lambda e: e[0])


@pytest.fixture
def stage(shop):
    """Two generations, the second by the run in question, and a clock that stands at its release."""

    class Stage:
        def __init__(self):
            self.shop = shop
            for value in (1.0, 2.0):
                self.run = shop.run({"a": value})
                register(self.run, shop.registry)
                promote(self.run, shop.registry)
            self.time = Time(shop.ledger.latest().created_at)

        def lease(self, process, serving, refused=(), lives=10_000, passing=False, off=timedelta()):
            now = self.time.now + off
            shop.leases.write(
                Lease(
                    process=process, fleet="sales", job="j", host="h", pid=1, serving=serving,
                    serving_since=None if serving is None else now,
                    refused=tuple(Refusal(generation=g, reason=r, passing=passing) for g, r in refused),
                    renewed_at=now, expires_at=now + timedelta(seconds=lives),
                )
            )  # fmt: skip

        def keep(self, process, serving, **more):
            """Let a process live and renew its lease from now on; return what stops it, as kill -9 would."""
            renew = lambda: self.lease(process, serving, **({"lives": 30} | more))  # noqa: E731
            renew()
            self.time.always.append(renew)
            return lambda: self.time.always.remove(renew)

        def confirm(self, run=None):
            time = self.time
            return confirm(run or self.run, shop.registry, clock=time.clock, monotonic=time.monotonic, wait=time.wait)

        @property
        def seconds(self):
            return (self.time.now - self.time.start).total_seconds()

    return Stage()


def test_every_process_serves_it_and_a_lease_period_has_passed(stage):
    stage.lease("p1", 2)
    stage.lease("p2", 1)
    stage.time.then(3, lambda: stage.lease("p2", 2))
    result = stage.confirm()
    assert (result.outcome, result.generation) == ("confirmed", 2)
    assert [p["process"] for p in result.processes] == ["p1", "p2"]
    assert 10 <= stage.seconds < 12
    assert stage.run.read("confirm")["outcome"] == "confirmed"
    assert len(stage.shop.ledger.all()) == 2


def test_a_slow_process_is_waited_for(stage):
    stage.lease("p1", 1)
    stage.time.then(50, lambda: stage.lease("p1", 2))
    assert stage.confirm().outcome == "confirmed"
    assert 50 <= stage.seconds < 52


def test_a_newer_generation_is_as_good(stage):
    stage.lease("p1", 3)
    assert stage.confirm().outcome == "confirmed"


def test_no_live_process_changes_nothing(stage):
    stage.lease("dead", 1, lives=-1)
    result = stage.confirm()
    assert (result.outcome, result.processes) == ("unconfirmed", ())
    assert stage.seconds == 0
    assert len(stage.shop.ledger.all()) == 2
    assert stage.run.read("confirm")["outcome"] == "unconfirmed"


def test_a_process_that_refuses_makes_the_old_bundle_serve_again(stage):
    stage.lease("p1", 2)
    stage.lease("p2", 1)
    stage.time.then(2, lambda: stage.lease("p2", 1, [(2, "index.parquet: sha256 is not what it was")]))
    with pytest.raises(ModelfleetError, match=r"process p2 refuses generation 2: index.parquet.*Generation 3 serves"):
        stage.confirm()
    release = stage.shop.ledger.latest()
    assert (release.generation, release.reason, release.rolled_back_to) == (3, "rollback", 1)
    assert release.actor == "confirm"
    assert stage.shop.registry.champion("sales") == "1"
    kept = stage.run.read("confirm")
    assert (kept["outcome"], kept["rolled_back_to"], kept["generation"]) == ("rolled_back", 1, 2)
    assert {p["process"]: p["refused"] for p in kept["processes"]}["p1"] is None
    assert stage.seconds < 5


def test_a_retried_confirm_does_not_call_a_rollback_a_success(stage):
    stage.lease("p1", 1, [(2, "bad")])
    for _ in range(2):
        with pytest.raises(ModelfleetError, match="refuses generation 2: bad"):
            stage.confirm()
    assert stage.shop.ledger.latest().generation == 3


def test_a_confirm_that_died_after_its_rollback_does_not_call_it_a_success(stage, monkeypatch):
    stage.lease("p1", 1, [(2, "bad")])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(stage.shop.registry, "reconcile", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        stage.confirm()
    assert not stage.run.has("confirm")
    stage.lease("p1", 3)
    with pytest.raises(ModelfleetError, match=r"refuses generation 2: bad. Generation 3 serves the bundle of"):
        stage.confirm()
    assert stage.run.read("confirm")["outcome"] == "rolled_back"
    assert stage.shop.registry.champion("sales") == "1"
    assert stage.shop.ledger.latest().generation == 3


def test_a_process_that_still_serves_the_old_one_at_the_timeout(stage):
    stage.keep("p1", 1)
    stage.lease("p2", 2)
    with pytest.raises(ModelfleetError, match="process p1 still serves generation 1, not 2, 60 s after"):
        stage.confirm()
    assert stage.shop.ledger.latest().rolled_back_to == 1
    assert 60 <= stage.seconds < 62


def test_a_refusal_of_another_generation_or_one_overcome_is_none(stage):
    stage.lease("p1", 2, [(1, "old news"), (2, "a full disk, at first")])
    assert stage.confirm().outcome == "confirmed"


def test_the_only_process_goes_away_and_comes_back(stage):
    stage.lease("p1", 1, lives=5)
    stage.time.then(40, lambda: stage.lease("p3", 2))
    assert stage.confirm().outcome == "confirmed"
    assert stage.seconds >= 40


def test_processes_that_went_away_for_good_or_never_loaded(stage):
    stage.lease("p1", 1, lives=5)
    stage.time.then(30, lambda: stage.lease("p2", None))
    result = stage.confirm()
    assert result.outcome == "unconfirmed"
    assert 60 <= stage.seconds < 62
    assert len(stage.shop.ledger.all()) == 2


def test_no_rollback_once_something_newer_is_published(stage):
    stage.keep("p1", 1)
    bundle = stage.shop.ledger.get(1).bundle
    newer = lambda: stage.shop.ledger.publish(bundle=BundleRef(uri=bundle.uri, sha256="f" * 64), reason="promote")  # noqa: E731
    stage.time.then(5, newer)
    with pytest.raises(ModelfleetError, match="newer generation was published in the meantime, so nothing was rolled"):
        stage.confirm()
    assert [r.generation for r in stage.shop.ledger.all()] == [1, 2, 3]


def test_a_bundle_to_go_back_to_that_is_gone(stage):
    import shutil

    shutil.rmtree(stage.shop.ledger.get(1).bundle.uri)
    stage.lease("p1", 1, [(2, "bad")])
    with pytest.raises(
        ModelfleetError, match=r"refuses generation 2: bad. Going back failed: generation 1 cannot serve"
    ):
        stage.confirm()
    assert stage.shop.ledger.latest().generation == 2


def test_the_first_generation_refused(shop):
    run = shop.run({"a": 1.0})
    register(run, shop.registry)
    promote(run, shop.registry)
    time = Time(shop.ledger.latest().created_at)
    shop.leases.write(
        Lease(
            process="p1", fleet="sales", job="", host="h", pid=1, serving=None, serving_since=None,
            refused=(Refusal(generation=1, reason="bad"),), renewed_at=time.now,
            expires_at=time.now + timedelta(seconds=30),
        )
    )  # fmt: skip
    with pytest.raises(ModelfleetError, match="first generation, so there is none to go back to"):
        confirm(run, shop.registry, clock=time.clock, monotonic=time.monotonic, wait=time.wait)
    assert len(shop.ledger.all()) == 1


def test_nothing_published_is_nothing_to_confirm(stage):
    run = stage.shop.run({"a": 2.0})
    register(run, stage.shop.registry)
    promote(run, stage.shop.registry)
    assert stage.confirm(run).outcome == "nothing_to_confirm"
    with pytest.raises(StepError, match="run the step 'promote' first"):
        stage.confirm(stage.shop.run({"a": 3.0}))


@pytest.mark.parametrize("second", [0.4, 20, 59.9])
def test_a_job_that_is_stopped_while_confirm_waits_is_no_reason_to_go_back(stage, second):
    """Its workers take their leases with them, whatever they served."""
    for process in ("p1", "p2"):
        end = stage.keep(process, 1)
        stage.time.then(second, lambda p=process, e=end: (e(), stage.shop.leases.remove(p)))
    result = stage.confirm()
    assert (result.outcome, result.processes) == ("unconfirmed", ())
    assert "every process has gone" in result.reason
    assert stage.shop.ledger.newest() == 2


@pytest.mark.parametrize("second", [0.4, 31, 45, 59])
def test_a_process_that_was_killed_is_no_reason_to_go_back(stage, second):
    """Nobody takes its lease away: it is waited for until it ends, even past the timeout."""
    stage.time.then(second, stage.keep("p1", 1))
    result = stage.confirm()
    assert result.outcome == "unconfirmed"
    assert max(60, second + 30) <= stage.seconds < max(60, second + 30) + 2
    assert stage.shop.ledger.newest() == 2


def test_a_killed_one_beside_one_that_serves_it(stage):
    stage.time.then(0.4, stage.keep("p1", 1))
    stage.keep("p2", 2)
    result = stage.confirm()
    assert result.outcome == "confirmed"
    assert [process["process"] for process in result.processes] == ["p2"]
    assert 30 <= stage.seconds < 32


def test_one_that_is_only_starting_is_no_reason_to_go_back(stage):
    stage.keep("p1", 2)
    stage.keep("p2", None)
    result = stage.confirm()
    assert result.outcome == "unconfirmed"
    assert "1 live process serves it, but process p2 has yet to load its first one" in result.reason
    assert 60 <= stage.seconds < 62


def test_trouble_of_its_own_is_waited_out(stage):
    end = stage.keep("p1", 1, refused=[(2, "No space left on device")], passing=True)
    stage.time.then(40, lambda: (end(), stage.keep("p1", 2)))
    assert stage.confirm().outcome == "confirmed"
    assert stage.seconds >= 40


def test_trouble_of_its_own_that_stays_is_named_as_such(stage):
    stage.keep("p1", 1, refused=[(2, "No space left on device")], passing=True)
    with pytest.raises(
        ModelfleetError, match=r"still serves generation 1, not 2, 60 s .* trouble of its own, .*fault: No space left"
    ):
        stage.confirm()
    assert stage.seconds >= 60
    assert stage.shop.ledger.latest().rolled_back_to == 1


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_clock_that_jumps_while_confirm_waits_changes_nothing(stage, hours):
    end = stage.keep("p1", 1)
    stage.time.then(5, lambda: setattr(stage.time, "jumped", timedelta(hours=hours)))
    stage.time.then(50, lambda: (end(), stage.keep("p1", 2)))
    assert stage.confirm().outcome == "confirmed"
    assert 50 <= stage.seconds < 52
    assert stage.shop.ledger.newest() == 2


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_process_whose_clock_is_wrong_is_judged_by_what_it_does(stage, hours):
    stage.keep("right", 2)
    stage.time.then(2, stage.keep("wrong", 1, off=timedelta(hours=hours)))  # killed
    assert stage.confirm().outcome == "confirmed"
    assert stage.shop.ledger.newest() == 2


def test_a_pin_meanwhile_does_not_keep_a_refused_bundle(stage):
    stage.keep("p1", 1)
    stage.time.then(3, lambda: pin(stage.shop.ledger, note="wait", actor="ann"))
    stage.time.then(6, lambda: stage.keep("p1", 1, refused=[(2, "bad"), (3, "bad")]))
    for _ in range(2):
        with pytest.raises(ModelfleetError, match=r"refuses generation 2: bad. Generation 4 serves the bundle of"):
            stage.confirm()
    newest = stage.shop.ledger.latest()
    assert (newest.generation, newest.rolled_back_to, newest.pinned) == (4, 1, True)


def test_the_log_tells_every_process_and_how_far_it_is(stage, caplog):
    end = stage.keep("p1", 1, refused=[(2, "No space left on device")], passing=True)
    stage.time.then(25, lambda: (end(), stage.keep("p1", 2)))
    with caplog.at_level("INFO"):
        stage.confirm()
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "waiting for generation 2: 0 s of 60 s"
    assert lines[1].startswith("  p1 serves generation 1, lease last renewed 0 s ago")
    assert "cannot load generation 2: No space left on device (its own trouble: it tries again)" in lines[2]
    assert sum("waiting for generation 2" in line for line in lines) == 3  # at once, and after 10 and 20 s
