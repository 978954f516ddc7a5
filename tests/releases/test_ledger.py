"""The ledger: numbers only grow, files appear whole, one promoter wins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.errors import ReleaseConflictError, ReleaseError
from modelfleet.releases.ledger import Ledger
from tests.releases.promoters import promote_at_once


def test_an_empty_ledger(ledger):
    assert ledger.latest() is None
    assert ledger.all() == []
    with pytest.raises(ReleaseError, match=r"no release 1 .* there is none yet"):
        ledger.get(1)


def test_generations_grow_by_one_and_say_what_was_before(ledger, ref):
    first = ledger.publish(bundle=ref("a"), reason="promote", model_version="1", actor="me", note="why", run_id="r")
    second = ledger.publish(bundle=ref("b"), reason="promote")
    assert (first.generation, first.previous, second.generation, second.previous) == (1, None, 2, 1)
    assert first.fleet == "sales"
    assert ledger.path(2).name == "0000000002.json"
    assert ledger.latest() == second
    assert ledger.all() == [first, second]
    assert ledger.get(1) == first
    assert first.created_at.tzinfo is not None
    with pytest.raises(ReleaseError, match=r"no release 3 .* there are 1 to 2"):
        ledger.get(3)


def test_of_two_promoters_who_counted_alike_one_wins(ledger, ref, monkeypatch):
    ledger.publish(bundle=ref("a"), reason="promote")
    stale = Ledger(ledger.folder)
    monkeypatch.setattr(stale, "generations", lambda: [1])
    winner = ledger.publish(bundle=ref("b"), reason="promote", actor="ann")
    with pytest.raises(ReleaseConflictError, match="'ann' published generation 2 first"):
        stale.publish(bundle=ref("c"), reason="promote", actor="bob")
    assert ledger.latest() == winner
    assert len(list(ledger.folder.iterdir())) == 2


def test_many_threads_at_once(ledger, ref):
    start = threading.Barrier(8)
    won, lost = [], []

    def work(letter):
        start.wait()
        for _ in range(5):
            try:
                won.append(ledger.publish(bundle=ref(letter), reason="promote", actor=letter))
            except ReleaseConflictError as error:
                lost.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "01234567"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) + len(lost) == 40
    assert sorted(r.generation for r in won) == list(range(1, len(won) + 1))
    assert ledger.all() == sorted(won, key=lambda r: r.generation)
    assert not list(ledger.folder.glob(".*"))


def test_two_processes_at_once(ledger):
    assert promote_at_once(str(ledger.folder)) == ["lost", "won 1"]
    assert [r.generation for r in ledger.all()] == [1]


def test_a_writer_whose_success_was_lost_recognises_its_file(ledger, ref, monkeypatch):
    link = os.link

    def link_and_fail(source, target):
        link(source, target)
        raise FileExistsError(target)  # what a network file system answers to the retried request

    monkeypatch.setattr(os, "link", link_and_fail)
    release = ledger.publish(bundle=ref("a"), reason="promote")
    assert ledger.latest() == release


def test_a_failed_write_leaves_nothing(ledger, ref, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        ledger.publish(bundle=ref("a"), reason="promote")
    assert list(ledger.folder.iterdir()) == []


def test_readers_never_see_a_half_written_release(ledger, ref, monkeypatch):
    """At every step of a write, a reader sees the old newest release."""
    first = ledger.publish(bundle=ref("a"), reason="promote")
    seen = []
    for name in ("fsync", "link"):
        original = getattr(os, name)

        def watched(*arguments, original=original):
            seen.append(Ledger(ledger.folder).latest())
            return original(*arguments)

        monkeypatch.setattr(os, name, watched)
    second = ledger.publish(bundle=ref("b"), reason="promote")
    assert seen == [first, first]
    assert ledger.latest() == second


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda d: d[: len(d) // 2], "not JSON"),
        (lambda _: b"", "not JSON"),
        (lambda _: b"\xff\xfe", "not JSON"),
        (lambda _: b"[]", "release format None, this version reads 1"),
        (lambda d: d.replace(b'"format": 1', b'"format": 2'), "release format 2, this version reads 1"),
        (lambda d: d.replace(b'"generation": 2', b'"generation": 7'), "says generation 7, its name says 2"),
        (lambda d: d.replace(b'"reason": "promote"', b'"reason": "whim"'), "reason is 'whim'"),
        (lambda d: d.replace(b'"fleet"', b'"flete"'), "fleet"),
        (lambda d: d.replace(b'"sha256": "b', b'"sha256": "../'), r"bundle\.sha256"),
    ],
)
def test_a_damaged_release_is_passed_over(ledger, ref, damage, message, caplog):
    first = ledger.publish(bundle=ref("a"), reason="promote")
    ledger.publish(bundle=ref("b"), reason="promote")
    ledger.path(2).write_bytes(damage(ledger.path(2).read_bytes()))
    with pytest.raises(ReleaseError, match=message) as caught:
        ledger.get(2)
    assert str(ledger.path(2)) in str(caught.value)
    assert ledger.latest() == first
    assert ledger.all() == [first]
    assert len(ledger.problems()) == 1
    assert "passed over" in caplog.text
    third = ledger.publish(bundle=ref("c"), reason="promote")
    assert (third.generation, third.previous) == (3, 1)


@settings(max_examples=150)
@given(data=st.data())
def test_no_release_file_crashes_a_reader(ledger, ref, data):
    if ledger.latest() is None:
        ledger.publish(bundle=ref("a"), reason="promote")
    good = ledger.path(1).read_bytes()
    document = json.loads(good)
    field = data.draw(st.sampled_from(sorted(document)))
    junk = st.none() | st.booleans() | st.integers() | st.text(max_size=4) | st.lists(st.none(), max_size=2)
    bad = data.draw(st.binary(max_size=40) | st.builds(lambda v: json.dumps(document | {field: v}).encode(), junk))
    ledger.path(2).write_bytes(bad)
    newest = Ledger(ledger.folder).latest()
    assert newest is not None
    assert newest.generation == 1


def test_other_files_are_no_releases(ledger, ref):
    ledger.publish(bundle=ref("a"), reason="promote")
    for name in (".0000000009.json", "0000000009.json.tmp", "9.json", "00000000099.json", "notes.txt"):
        (ledger.folder / name).write_text("{}")
    assert ledger.generations() == [1]


def test_files_that_came_out_of_order(ledger, ref):
    for letter in "abc":
        ledger.publish(bundle=ref(letter), reason="promote")
    os.utime(ledger.path(1))  # the oldest was copied last
    assert ledger.latest().generation == 3
    ledger.path(2).unlink()
    assert [r.generation for r in ledger.all()] == [1, 3]
    assert ledger.publish(bundle=ref("d"), reason="promote").generation == 4


def test_numbers_are_never_given_out_twice(fleet, ref):
    ledger = fleet.ledger
    for letter in "abc":
        ledger.publish(bundle=ref(letter), reason="promote")
    ledger.path(3).unlink()
    fleet.lease(serving=3, refused=[{"generation": 5, "reason": "damaged"}])
    fleet.lease(serving=None, refused=[])
    fleet.lease(what="is this")
    (fleet.home.leases / "x.json").write_text("{")
    (fleet.home.leases / "y.json").write_text("[3]")
    release = ledger.publish(bundle=ref("d"), reason="promote", floor=4)
    assert (release.generation, release.previous) == (6, 2)
    assert ledger.publish(bundle=ref("e"), reason="promote", floor=11).generation == 12


def test_publishing_after_a_certain_generation(ledger, ref):
    with pytest.raises(ReleaseConflictError, match="generation 1 was to be followed, but 0 is the newest"):
        ledger.publish(bundle=ref("a"), reason="promote", after=1)
    ledger.publish(bundle=ref("a"), reason="promote", after=0)
    ledger.publish(bundle=ref("b"), reason="promote", after=1)
    with pytest.raises(ReleaseConflictError, match="generation 1 was to be followed, but 2 is the newest"):
        ledger.publish(bundle=ref("c"), reason="rollback", after=1)
    assert ledger.latest().generation == 2


def test_dag_files_can_afford_the_import():
    code = (
        "import sys, modelfleet.releases.promote; "
        "print(sorted({'numpy', 'pyarrow', 'pandas', 'mlflow', 'apache_beam'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
