"""Signed releases: whoever can only write to the ledger makes nothing serve."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelfleet.errors import InputError, ReleaseError, SignatureError
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.pin import pin
from modelfleet.signing.keyring import PUBLIC_KEYS, Keyring
from modelfleet.signing.pair import PRIVATE_NAME, PUBLIC_NAME, new_pair
from modelfleet.signing.signer import SIGNING_KEY, FileSigner


@pytest.fixture
def pair(tmp_path):
    new_pair(tmp_path / "pair")
    return tmp_path / "pair"


@pytest.fixture
def keyring(pair):
    return Keyring.from_path(pair)


@pytest.fixture
def signer(pair):
    return FileSigner(pair / PRIVATE_NAME)


@pytest.fixture
def signed(fleet, keyring, signer):
    """The ledger as whoever promotes has it: signed releases, and only those."""
    return Ledger(fleet.home.releases, keys=keyring, signer=signer)


@pytest.fixture
def reader(fleet, keyring):
    """The ledger as a serving process has it: public keys, no private one."""
    return Ledger(fleet.home.releases, keys=keyring)


def test_a_signed_release_is_believed_with_the_bundle_it_names(signed, reader, ref, keyring):
    made = signed.publish(bundle=ref("a"), reason="promote", note='quoted "words" and 漢字')
    assert made.signature.key in keyring.keys
    assert reader.latest() == made
    assert reader.problems() == []


def test_without_keys_everything_is_believed_and_written_as_ever(fleet, signed, ref):
    plain = fleet.ledger.publish(bundle=ref("a"), reason="promote")
    assert "signature" not in json.loads(fleet.ledger.path(1).read_bytes())
    made = signed.publish(bundle=ref("b"), reason="promote")
    assert fleet.ledger.all() == [plain, made]


def test_an_unsigned_release_is_passed_over_with_what_to_do(fleet, signed, reader, ref, caplog):
    good = signed.publish(bundle=ref("a"), reason="promote")
    fleet.ledger.publish(bundle=ref("e"), reason="promote", actor="mallory")
    with pytest.raises(SignatureError) as caught:
        reader.get(2)
    told = str(caught.value)
    assert str(reader.path(2)) in told
    assert "is not signed" in told
    assert good.signature.key in told
    assert "MODELFLEET_SIGNING_KEY" in told
    assert reader.latest() == good
    assert len(reader.problems()) == 1


def change(path: Path, **fields):
    document = json.loads(path.read_bytes())
    document.update(fields)
    path.write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bundle": {"uri": "/nowhere/a", "sha256": "e" * 64}}, "is not what key [0-9a-f]{16} signed: it was altered"),
        ({"bundle": {"uri": "/elsewhere", "sha256": "a" * 64}}, "it was altered"),
        ({"pinned": True}, "it was altered"),
        ({"extra": 1}, "it was altered"),
        ({"signature": None}, "is not signed"),
        ({"signature": {"key": "0" * 16, "ed25519": "A" * 86 + "=="}}, "is signed by key 0{16}, and only"),
        ({"signature": "none"}, "its signature is 'none', which is none"),
        ({"signature": {"key": "x", "ed25519": ""}}, "which is none"),
    ],
)
def test_an_altered_release_is_no_release(signed, reader, ref, fields, message):
    signed.publish(bundle=ref("a"), reason="promote")
    change(reader.path(1), **fields)
    with pytest.raises(SignatureError, match=message):
        reader.get(1)
    assert reader.latest() is None


@settings(max_examples=200)
@given(data=st.data())
def test_no_change_of_a_byte_changes_what_is_believed(signed, reader, ref, data):
    """Either the file is refused, or it means the same: spaces and the order of names are nothing."""
    if signed.newest() == 0:
        signed.publish(bundle=ref("a"), reason="promote", note="as it was")
    good = reader.get(1)
    content = bytearray(signed.path(1).read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] = data.draw(st.integers(0, 255))
    signed.path(2).write_bytes(content)
    try:
        other = Ledger(reader.folder, keys=reader.keys).get(2)
    except ReleaseError:
        pass
    else:  # the number is signed, so that of the file cannot be the name's
        raise AssertionError(other)
    signed.path(1).rename(kept := signed.folder / "kept")
    signed.path(1).write_bytes(content)
    try:
        assert reader.get(1) == good
    except ReleaseError:
        pass
    finally:
        kept.replace(signed.path(1))
        signed.path(2).unlink()


def test_a_name_twice_means_what_was_signed(signed, reader, ref):
    signed.publish(bundle=ref("a"), reason="promote")
    text = reader.path(1).read_text()
    reader.path(1).write_text(text.replace('"pinned"', '"pooled_only": true,\n "pinned"'))
    assert reader.get(1).pooled_only is False
    reader.path(1).write_text(text.replace('"nonce"', '"pooled_only": true,\n "nonce"'))
    with pytest.raises(SignatureError, match="altered"):
        reader.get(1)


def test_an_older_signed_release_under_a_newer_number_is_refused(signed, reader, ref):
    signed.publish(bundle=ref("a"), reason="promote")
    newest = signed.publish(bundle=ref("b"), reason="promote")
    shutil.copy(reader.path(1), reader.path(3))
    with pytest.raises(ReleaseError, match="says generation 1, its name says 3"):
        reader.get(3)
    change(reader.path(3), generation=3)
    with pytest.raises(SignatureError, match="it was altered"):
        reader.get(3)
    assert reader.latest() == newest


def test_a_signed_release_of_another_fleet_is_refused(fleet, signed, reader, signer, keyring, ref, tmp_path):
    newest = signed.publish(bundle=ref("a"), reason="promote")
    other = Ledger(tmp_path / "fleets" / "prices" / "releases", keys=keyring, signer=signer)
    other.publish(bundle=ref("b"), reason="promote")
    other.publish(bundle=ref("c"), reason="promote")
    shutil.copy(other.path(2), reader.path(2))
    with pytest.raises(SignatureError, match="is signed for fleet 'prices', and this is the ledger of 'sales'"):
        reader.get(2)
    assert reader.latest() == newest


def test_nothing_is_built_upon_what_nobody_vouches_for(fleet, signed):
    """A pin signs what serves: it must not sign what somebody has slipped in."""
    good = signed.publish(bundle=fleet.bundle("good"), reason="promote")
    fleet.ledger.publish(bundle=fleet.bundle("evil"), reason="promote")
    held = pin(signed, note="an incident")
    assert held.bundle == good.bundle
    assert (held.generation, held.previous) == (3, 1)


def test_a_key_takes_the_place_of_another(fleet, signed, keyring, ref, tmp_path):
    old = signed.publish(bundle=ref("a"), reason="promote")
    new_pair(tmp_path / "next")
    both = Keyring([*keyring.keys.values(), *Keyring.from_path(tmp_path / "next").keys.values()])
    later = Ledger(fleet.home.releases, keys=both, signer=FileSigner(tmp_path / "next" / PRIVATE_NAME))
    new = later.publish(bundle=ref("b"), reason="promote")
    assert new.signature.key != old.signature.key
    assert later.all() == [old, new]
    with pytest.raises(SignatureError, match=f"is signed by key {new.signature.key}, and only {old.signature.key}"):
        signed.get(2)
    retired = Ledger(fleet.home.releases, keys=Keyring.from_path(tmp_path / "next"))
    assert retired.all() == [new]


def test_what_no_process_would_serve_is_not_published(fleet, reader, signed, ref, tmp_path):
    with pytest.raises(InputError, match=r"would not be signed.*set \$MODELFLEET_SIGNING_KEY"):
        reader.publish(bundle=ref("a"), reason="promote")
    new_pair(tmp_path / "stranger")
    stranger = Ledger(fleet.home.releases, keys=reader.keys, signer=FileSigner(tmp_path / "stranger" / PRIVATE_NAME))
    with pytest.raises(InputError, match=r"is not among those of \$MODELFLEET_PUBLIC_KEYS"):
        stranger.publish(bundle=ref("a"), reason="promote")
    assert fleet.ledger.newest() == 0


def test_the_environment_says_who_signs_and_who_is_believed(fleet, pair, ref, monkeypatch):
    monkeypatch.setenv(SIGNING_KEY, str(pair / PRIVATE_NAME))
    made = Ledger(fleet.home.releases).publish(bundle=ref("a"), reason="promote")
    assert made.signature is not None
    monkeypatch.delenv(SIGNING_KEY)
    Ledger(fleet.home.releases).publish(bundle=ref("b"), reason="promote")
    monkeypatch.setenv(PUBLIC_KEYS, str(pair / PUBLIC_NAME))
    assert Ledger(fleet.home.releases).all() == [made]
    monkeypatch.setenv(PUBLIC_KEYS, str(pair / "no.pem"))
    with pytest.raises(InputError, match=r"no\.pem: cannot be read"):
        Ledger(fleet.home.releases)
