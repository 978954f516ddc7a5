"""The ledger below a bucket: numbers only grow, one promoter wins, signatures hold, and nothing slips in between."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from modelfleet.errors import ReleaseConflictError, ReleaseError, SignatureError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef
from modelfleet.releases.notifier import announce, listen_at
from modelfleet.signing.keyring import Keyring
from modelfleet.signing.pair import PRIVATE_NAME, new_pair
from modelfleet.signing.signer import FileSigner
from modelfleet.spec.notices import PubsubNotices
from modelfleet.stores.opening import open_store
from modelfleet.stores.place import Url
from tests.releases.promoters import promote_at_once


def ref(letter: str) -> BundleRef:
    return BundleRef(uri=f"gs://elsewhere/{letter}", sha256=letter * 64)


@pytest.fixture
def folder(bucket: Url) -> Url:
    return bucket / "fleets" / "sales" / "releases"


def test_generations_grow_and_are_read_back(folder: Url) -> None:
    ledger = Ledger(str(folder))
    assert ledger.latest() is None
    with pytest.raises(ReleaseError, match=r"releases/0000000001\.json: no release 1 .* there is none yet"):
        ledger.get(1)
    first = ledger.publish(bundle=ref("a"), reason="promote", note="why")
    second = ledger.publish(bundle=ref("b"), reason="promote")
    assert first.fleet == "sales"
    assert Ledger(folder).all() == [first, second]
    assert str(ledger.path(2)) == f"{folder}/0000000002.json"


def test_of_many_promoters_who_counted_alike_one_wins(folder: Url) -> None:
    ledger = Ledger(folder)
    ledger.publish(bundle=ref("a"), reason="promote")
    start = threading.Barrier(6)
    won, lost = [], []

    def work(letter: str) -> None:
        start.wait()
        for _ in range(3):
            try:
                won.append(ledger.publish(bundle=ref(letter), reason="promote", actor=letter))
            except ReleaseConflictError as error:
                lost.append(str(error))

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "012345"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) + len(lost) == 18
    assert lost
    assert all("published generation" in message or "was to be followed" in message for message in lost)
    assert sorted(r.generation for r in won) == list(range(2, len(won) + 2))
    assert ledger.all()[1:] == sorted(won, key=lambda r: r.generation)


def test_two_processes_at_once(folder: Url) -> None:
    assert promote_at_once(str(folder)) == ["lost", "won 1"]
    assert [r.generation for r in Ledger(folder).all()] == [1]


def test_a_writer_whose_success_was_lost_recognises_its_file(folder: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that breaks off after the object is there: the library tries again, and finds the name taken."""
    ledger = Ledger(folder)
    create = ledger._store.create

    def twice(name: str, content: bytes) -> None:
        create(name, content)
        create(name, content)

    monkeypatch.setattr(ledger._store, "create", twice)
    release = ledger.publish(bundle=ref("a"), reason="promote")
    assert Ledger(folder).latest() == release


def test_numbers_are_never_given_out_twice(folder: Url) -> None:
    ledger, store = Ledger(folder), open_store(folder)
    for letter in "abc":
        ledger.publish(bundle=ref(letter), reason="promote")
    store.remove("0000000003.json")
    leases = open_store(folder.parent / "leases")
    leases.write("x.json", json.dumps({"serving": 3, "refused": [{"generation": 5}]}).encode())
    leases.write("y.json", b"{")
    assert ledger.publish(bundle=ref("d"), reason="promote").generation == 6


def test_only_signed_releases_are_believed(folder: Url, tmp_path: Path) -> None:
    """Whoever can write to the bucket, and nothing else, makes nothing serve."""
    new_pair(tmp_path)
    signed = Ledger(folder, keys=Keyring.from_path(tmp_path), signer=FileSigner(tmp_path / PRIVATE_NAME))
    good = signed.publish(bundle=ref("a"), reason="promote")
    Ledger(folder, keys=Keyring()).publish(bundle=ref("b"), reason="promote", actor="mallory")
    with pytest.raises(SignatureError, match=rf"{folder}/0000000002\.json: is not signed"):
        signed.get(2)
    assert signed.latest() == good


def test_where_the_job_listens_stands_beside_the_ledger(folder: Url) -> None:
    notices = PubsubNotices(
        kind="pubsub", topic="projects/my-shop/topics/releases", subscription="projects/my-shop/subscriptions/shop"
    )
    listen_at(folder, notices)
    assert open_store(folder.parent).names() == ["notices.json"]
    listen_at(folder, None)
    listen_at(folder, None)
    assert open_store(folder.parent).names() == []
    announce(folder, Ledger(folder).publish(bundle=ref("a"), reason="promote"))  # nobody listens, nothing is sent
