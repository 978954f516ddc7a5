"""Collecting: what anything needs stays, what nothing needs goes, and nobody ever opens half a bundle."""

from __future__ import annotations

import fcntl
import os
from datetime import timedelta
from pathlib import Path

import pytest

from modelfleet.errors import RegistryUnavailableError, ReleaseError
from modelfleet.loop import collect as module
from modelfleet.loop.collect import collect
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.releases.guard import bundles_in_place, publishers_held_off
from modelfleet.releases.pin import pin, unpin
from modelfleet.releases.promote import rollback
from modelfleet.run import Run
from modelfleet.spec.retention import RetentionSpec
from modelfleet.spec.sink import KafkaSinkSpec
from tests.loop.aged_fleet import NEWEST_ONLY, AgedFleet, now


@pytest.fixture
def fleet(tmp_path):
    return AgedFleet(tmp_path)


def reasons(found, name):
    return next(" ".join(item.reasons) for item in found.kept if Path(item.path).name == name)


def test_what_nothing_needs_goes_and_the_newest_stays(fleet):
    fleet.release("abc")
    stray = fleet.bundle("x")
    found = fleet.collect()
    assert fleet.left == {"c"}
    assert {Path(item.path).name for item in found.removed} == {"a", "b", "x"}
    assert found.bytes == sum(item.bytes for item in found.removed) > 0
    assert "generation 3 is the newest" in reasons(found, "c")
    assert not Path(stray.uri).exists()


def test_a_dry_run_says_the_same_and_touches_nothing(fleet):
    fleet.release("abc")
    fleet.run("old", days=9)
    fleet.run("new", days=8)
    planned = fleet.collect(dry_run=True)
    assert fleet.left == {"a", "b", "c"}
    done = fleet.collect()
    assert [item.path for item in planned.removed] == [item.path for item in done.removed]
    assert len(planned.removed) == 3
    assert planned.kept == done.kept
    assert fleet.collect().removed == ()


def test_the_window_counts_bundles_that_differ(fleet):
    fleet.release("abcd")
    for _ in range(3):
        pin(fleet.ledger, note="x")
        unpin(fleet.ledger)
    rollback(fleet.ledger, to=2)
    fleet.collect(retention=RetentionSpec(generations=3, days=0))
    assert fleet.left == {"b", "d", "c"}


def test_days_keep_what_the_number_would_not(fleet):
    fleet.release("abc")
    fleet.collect(retention=RetentionSpec(generations=1, days=1))
    assert fleet.left == {"a", "b", "c"}
    fleet.collect(retention=RetentionSpec(generations=1, days=1), now=now() + timedelta(days=2))
    assert fleet.left == {"c"}


def test_what_processes_hold_stays_also_a_while_after_their_lease_ended(fleet):
    fleet.release("abcdef")
    fleet.lease("live", 1)
    fleet.lease("slow", 2, ended=timedelta(minutes=59))
    fleet.lease("gone", 3, ended=timedelta(minutes=61))
    fleet.lease("busy", 6, refused=[4], passing=True)
    fleet.lease("sure", 6, refused=[5])
    found = fleet.collect()
    assert fleet.left == {"a", "b", "d", "f"}
    assert reasons(found, "a") == "process live holds generation 1"


def test_what_a_process_says_it_holds_stays_whatever_it_serves(fleet):
    fleet.release("abc")
    fleet.lease("p", 3, holding=(fleet.bundle("a").uri, fleet.bundle("c").uri))
    assert reasons(fleet.collect(), "a") == "process p holds it"
    assert fleet.left == {"a", "c"}


def test_a_process_that_holds_what_nobody_can_name_any_more_keeps_everything(fleet):
    fleet.release("abc")
    fleet.lease("p", 2)
    fleet.ledger.path(2).unlink()
    assert "p holds generation 2, which the ledger does not know" in reasons(fleet.collect(), "b")
    assert fleet.left == {"a", "b", "c"}


def test_what_a_job_that_starts_would_fall_back_to_stays(fleet):
    fleet.release("abc")
    for name in "bc":
        (fleet.folders.bundles / name / "index.parquet").write_bytes(b"")
    found = fleet.collect()
    assert fleet.left == {"a", "c"}
    assert "a job that starts, from a savepoint or from nothing, serves generation 1" in reasons(found, "a")


def test_what_a_run_compares_with_or_may_release_stays(fleet):
    fleet.release("a")
    made = fleet.bundle("m")
    kept = {"bundle": made.uri, "bundle_sha256": made.sha256}
    fleet.run("going", register=kept)
    fleet.release("b")
    fleet.run("held", register=kept, promote={"generation": None, "outcome": "pinned"})
    fleet.release("c")
    assert (
        fleet.collect(retention=RetentionSpec(generations=1, days=0.5), now=now() + timedelta(days=0.4)).removed == ()
    )
    assert fleet.left == {"a", "b", "c", "m"}
    for name in ("going", "held"):
        Run.load(fleet.folders.runs / name).write("promote", {"generation": 9, "outcome": "promoted"})
    fleet.collect()
    assert fleet.left == {"c"}


def test_a_run_nobody_goes_on_with_keeps_nothing_unless_somebody_does(fleet):
    fleet.release("a")
    run = fleet.run("old", days=40)
    fleet.release("b")
    with run.exclusively():
        found = fleet.collect()
        assert "run old compares with it" in reasons(found, "a")
    fleet.run("newer", days=39, gate={"refused": True}, register={"bundle": None})
    fleet.collect()
    assert fleet.left == {"b"}
    assert [path.name for path in fleet.folders.runs.iterdir()] == ["newer"]


def test_run_folders_in_use_or_of_kept_generations_stay(fleet):
    done = {"promote": {"generation": None, "outcome": "no_change"}}
    fleet.release("a")
    for number in range(4):
        fleet.run(f"run-{number}", days=9 - number, **done)
    fleet.ledger.publish(bundle=fleet.bundle("b"), reason="promote", run_id="run-0")
    (fleet.folders.runs / "odd").mkdir()
    (fleet.folders.runs / "odd" / "thing").touch()
    with Run.load(fleet.folders.runs / "run-1").exclusively():
        fleet.collect()
    assert {path.name for path in fleet.folders.runs.iterdir()} == {"run-0", "run-1", "run-3", "odd"}


def test_what_an_alias_of_the_registry_names_stays(fleet):
    fleet.release("abc")
    sha256 = fleet.bundle("a").sha256
    fleet.registry.versions["sales"] = [sha256]
    fleet.registry.aliases["sales"] = "1"
    assert "alias 'champion' names it" in reasons(fleet.collect(), "a")
    assert fleet.left == {"a", "c"}


def test_without_the_registry_s_word_nothing_is_removed(fleet, monkeypatch):
    fleet.release("abc")
    monkeypatch.setattr(fleet.registry, "aliased", lambda _: (_ for _ in ()).throw(RegistryUnavailableError("down")))
    with pytest.raises(RegistryUnavailableError):
        fleet.collect()
    assert fleet.left == {"a", "b", "c"}


def test_a_bundle_is_gone_by_name_before_its_first_file_is_deleted(fleet, monkeypatch):
    fleet.release("ab")
    seen = []
    monkeypatch.setattr(module.shutil, "rmtree", lambda folder, **_: seen.append((folder.name, fleet.left)))
    fleet.collect()
    assert seen[0][0].startswith(".removed-")
    assert "a" not in seen[0][1]
    monkeypatch.undo()
    assert fleet.left == {"b", seen[0][0]}  # as if it had died here
    assert fleet.collect().removed == ()
    assert fleet.left == {"b"}


def test_a_rollback_to_a_removed_bundle_says_what_is_left(fleet):
    for version, name in enumerate("abc", start=1):
        fleet.ledger.publish(bundle=fleet.bundle(name), reason="promote", model_version=str(version))
    fleet.collect()
    with pytest.raises(
        ReleaseError, match=r"generation 1 cannot serve again.*`modelfleet gc` removes.*are there: 3, .*version 1 in"
    ):
        rollback(fleet.ledger, to=1)
    assert [release.bundle.there for release in fleet.ledger.all()] == [False, False, True]


def test_it_waits_for_a_publisher_and_a_publisher_for_it(fleet):
    fleet.release("ab")
    with bundles_in_place(fleet.folders.root), (fleet.folders.root / ".bundles.lock").open("a") as file:
        with bundles_in_place(fleet.folders.root):
            pass  # publishers do not wait for each other
        with pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (
        publishers_held_off(fleet.folders.root),
        (fleet.folders.root / ".bundles.lock").open() as file,
        pytest.raises(BlockingIOError),
    ):
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)


def test_old_answers_go_only_where_somebody_asks(fleet):
    fleet.release("a")
    old, new = fleet.folders.answers / "old.jsonl", fleet.folders.dead_letters / "new.jsonl"
    for part in (old, new):
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_text("{}")
    os.utime(old, ((now() - timedelta(days=8)).timestamp(),) * 2)
    fleet.collect()
    assert old.exists()
    assert fleet.collect(answers_days=7, dry_run=True).removed[0].path == str(old)
    assert old.exists()
    fleet.collect(answers_days=7)
    assert (old.exists(), new.exists()) == (False, True)


def test_old_dead_letters_too_large_for_a_topic_go_likewise(fleet):
    fleet.release("a")
    serving = fleet.spec.serving.model_copy(update={"sink": KafkaSinkSpec(kind="kafka", answers="a", dead_letters="d")})
    fleet.spec = fleet.spec.model_copy(update={"serving": serving})
    old, new = (fleet.folders.large_dead_letters / f"{name}.json" for name in ("old", "new"))
    for letter in (old, new):
        letter.parent.mkdir(parents=True, exist_ok=True)
        letter.write_text("{}")
    os.utime(old, ((now() - timedelta(days=8)).timestamp(),) * 2)
    fleet.collect(answers_days=7)
    assert (old.exists(), new.exists()) == (False, True)


def test_after_collecting_the_loop_goes_on(shop):
    for value in (1.0, 2.0, 3.0):
        run = shop.run({"a": value})
        register(run, shop.registry)
        promote(run, shop.registry)
    found = collect(
        shop.home, run.spec, retention=NEWEST_ONLY, registry=shop.registry, now=now() + timedelta(minutes=1)
    )
    assert len(found.removed) == 4  # two bundles and two runs
    again = shop.run({"a": 2.0})
    register(again, shop.registry)
    assert promote(again, shop.registry).generation == 4
    assert shop.ledger.latest().bundle.open().entities == {"a"}
