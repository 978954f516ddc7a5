"""Collecting: what anything needs stays, what nothing needs goes, and nobody ever opens half a bundle."""

from __future__ import annotations

import fcntl
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelfleet.bundles.writer import BundleWriter
from modelfleet.errors import RegistryUnavailableError, ReleaseError
from modelfleet.home import Home
from modelfleet.loop import collect as module
from modelfleet.loop.collect import collect
from modelfleet.loop.promote import promote
from modelfleet.loop.register import register
from modelfleet.registry.memory import MemoryRegistry
from modelfleet.releases.guard import bundles_in_place
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.pin import pin, unpin
from modelfleet.releases.promote import rollback
from modelfleet.run import Run
from modelfleet.serving.lease import Lease, LeaseFolder, Refusal
from modelfleet.spec.file import parse_spec
from modelfleet.spec.fleet import Task
from modelfleet.spec.retention import RetentionSpec
from tests.loop.conftest import SPEC

NOW = datetime.now(UTC)
NEWEST_ONLY = RetentionSpec(generations=1, days=0)


class Fleet:
    """The fleet ``sales``, with bundles that hold no model but open, named by single letters."""

    def __init__(self, root):
        self.home = Home(root)
        self.folders = self.home.fleet("sales")
        self.ledger = Ledger(self.folders.releases, self.folders.leases)
        self.registry = MemoryRegistry()
        self.spec = parse_spec(SPEC, "test")

    def bundle(self, name):
        folder = self.folders.bundles / name
        if not folder.exists():
            writer = BundleWriter(folder, fleet="sales", task=Task.REGRESSION, split_fingerprint="s", run_id=name)
            writer.finish(pa.table({"entity": pa.array([], pa.string())}))
        from modelfleet.bundles.reader import Bundle

        return BundleRef(uri=str(folder), sha256=Bundle.open(folder).sha256)

    def release(self, names):
        for name in names:
            self.ledger.publish(bundle=self.bundle(name), reason="promote")

    def lease(self, process, serving, *, refused=(), passing=False, ended=timedelta(seconds=-30)):
        """Write a lease that ended, or ends, so long ago."""
        refusals = tuple(Refusal(generation=g, reason="bad", passing=passing) for g in refused)
        ends = NOW - ended
        lease = Lease(
            process=process, fleet="sales", job="j", host="h", pid=1, serving=serving, serving_since=None,
            refused=refusals, renewed_at=ends - timedelta(seconds=30), expires_at=ends,
        )  # fmt: skip
        LeaseFolder(self.folders.leases).write(lease)
        file = self.folders.leases / f"{process}.json"
        os.utime(file, (ends.timestamp() - 30,) * 2)

    def run(self, run_id, *, days=0.0, **results):
        """Begin a run so many days ago, and leave what its steps left."""
        run = Run.open(self.home, self.spec, run_id=run_id)
        record = run.record.model_copy(update={"started_at": NOW - timedelta(days=days)})
        (run.folder / "run.json").write_text(record.model_dump_json())
        for name, result in results.items():
            run.write(name, result)
        return run

    def collect(self, **more):
        settings = {"retention": NEWEST_ONLY, "registry": self.registry, "now": NOW + timedelta(seconds=1)}
        return collect(self.home, self.spec, **(settings | more))

    @property
    def left(self):
        return {path.name for path in self.folders.bundles.iterdir()}


@pytest.fixture
def fleet(tmp_path):
    return Fleet(tmp_path)


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
    fleet.collect(retention=RetentionSpec(generations=1, days=1), now=NOW + timedelta(days=2))
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
    assert fleet.collect(retention=RetentionSpec(generations=1, days=0.5), now=NOW + timedelta(days=0.4)).removed == ()
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
        bundles_in_place(fleet.folders.root, against_all=True),
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
    os.utime(old, ((NOW - timedelta(days=8)).timestamp(),) * 2)
    fleet.collect()
    assert old.exists()
    assert fleet.collect(answers_days=7, dry_run=True).removed[0].path == str(old)
    assert old.exists()
    fleet.collect(answers_days=7)
    assert (old.exists(), new.exists()) == (False, True)


def test_after_collecting_the_loop_goes_on(shop):
    for value in (1.0, 2.0, 3.0):
        run = shop.run({"a": value})
        register(run, shop.registry)
        promote(run, shop.registry)
    found = collect(shop.home, run.spec, retention=NEWEST_ONLY, registry=shop.registry, now=NOW + timedelta(minutes=1))
    assert len(found.removed) == 4  # two bundles and two runs
    again = shop.run({"a": 2.0})
    register(again, shop.registry)
    assert promote(again, shop.registry).generation == 4
    assert shop.ledger.latest().bundle.open().entities == {"a"}


acts = st.lists(
    st.one_of(
        st.tuples(st.just("release"), st.sampled_from("abcdef")),
        st.tuples(st.just("delete"), st.integers(1, 8)),
        st.tuples(st.just("damage"), st.sampled_from("abcdef")),
        st.tuples(st.just("lease"), st.integers(1, 8), st.integers(-1, 120)),
        st.tuples(st.just("run"), st.sampled_from("abcdef"), st.booleans(), st.integers(0, 3)),
        st.tuples(st.just("alias"), st.sampled_from("abcdef")),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts, st.integers(1, 4), st.sampled_from([0, 2]))
def test_nothing_that_anything_needs_is_ever_removed(tmp_path_factory, acts, generations, days):
    """The needs are worked out here once more, from what was done; what none of them names must be gone."""
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    for name in "abcdef":
        fleet.bundle(name)
    refs = {name: fleet.bundle(name) for name in "abcdef"}
    needed, damaged, everything = set(), set(), False
    for number, (act, *what) in enumerate(acts):
        if act == "release":
            fleet.ledger.publish(bundle=refs[what[0]], reason="promote")
        elif act == "delete":
            fleet.ledger.path(what[0]).unlink(missing_ok=True)
        elif act == "damage" and what[0] not in damaged:
            damaged.add(what[0])
            (fleet.folders.bundles / what[0] / "index.parquet").write_bytes(b"")
        elif act == "lease":
            fleet.lease(f"p{number}", what[0], ended=timedelta(minutes=what[1]))
        elif act == "run":
            ref = refs[what[0]]
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Ledger, "latest", lambda _: None)
                results = {"register": {"bundle": ref.uri, "bundle_sha256": ref.sha256}}
                results |= {"promote": {"generation": 1, "outcome": "promoted"}} if what[1] else {}
                fleet.run(f"r{number}", days=what[2], **results)
            if not what[1] and what[2] < days:
                needed.add(what[0])
        elif act == "alias":
            fleet.registry.versions["sales"] = [refs[what[0]].sha256]
            fleet.registry.aliases["sales"] = "1"
            needed -= {"alias"}
    names = {release.generation: Path(release.bundle.uri).name for release in fleet.ledger.all()}
    if fleet.registry.aliases:
        needed |= {n for n, ref in refs.items() if ref.sha256 == fleet.registry.versions["sales"][0]}
    newest_first = [names[generation] for generation in sorted(names, reverse=True)]
    needed |= set(list(dict.fromkeys(newest_first))[:generations])
    if days:
        needed |= set(newest_first)
    needed |= set([name for name in newest_first if name not in damaged][:1])
    for act, *what in acts:
        if act == "lease" and what[1] < 60:
            everything = everything or what[0] not in names
            needed |= {names[what[0]]} if what[0] in names else set()
    fleet.collect(retention=RetentionSpec(generations=generations, days=days))
    assert fleet.left == (set(refs) if everything else needed)
    shutil.rmtree(fleet.home.root)
