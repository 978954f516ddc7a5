"""Whoever signs: a key in a file, and one in Cloud KMS asked by the real client; the same contract."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from google.cloud import kms_v1

from modelfleet.errors import InputError, SigningUnavailableError
from modelfleet.signing import kms
from modelfleet.signing.keyring import PUBLIC_KEYS, Keyring
from modelfleet.signing.kms import KmsSigner
from modelfleet.signing.pair import PRIVATE_NAME, PUBLIC_NAME, new_pair
from modelfleet.signing.signer import SIGNING_KEY, FileSigner, Signer, signer_from_environment
from tests.signing.fake_kms import VERSION, FakeKms


@pytest.fixture
def service() -> Iterator[FakeKms]:
    fake = FakeKms()
    yield fake
    fake.close()


def in_a_file(request: pytest.FixtureRequest) -> Signer:
    folder = request.getfixturevalue("tmp_path")
    new_pair(folder / "pair")
    return FileSigner(folder / "pair" / PRIVATE_NAME)


def in_kms(request: pytest.FixtureRequest) -> Signer:
    return KmsSigner(VERSION, request.getfixturevalue("service").client)


@pytest.fixture(params=[in_a_file, in_kms])
def signer(request: pytest.FixtureRequest) -> Signer:
    made: Callable[[pytest.FixtureRequest], Signer] = request.param
    return made(request)


def test_what_it_signs_its_public_key_accepts_and_nothing_else(signer: Signer) -> None:
    signature = signer.sign(b"generation 1")
    assert len(signature) == 64
    assert signer.public.accepts(signature, b"generation 1")
    assert not signer.public.accepts(signature, b"generation 2")
    assert not signer.public.accepts(signature[:-1] + bytes([signature[-1] ^ 1]), b"generation 1")
    assert not signer.public.accepts(b"", b"generation 1")


def test_its_public_key_is_the_same_when_told_as_text(signer: Signer) -> None:
    told = Keyring.from_texts(Keyring([signer.public, signer.public]).texts)
    assert list(told.keys) == [signer.public.id]
    assert told.keys[signer.public.id].accepts(signer.sign(b"x"), b"x")


class TestKms:
    def test_the_public_key_is_asked_for_once(self, service: FakeKms) -> None:
        signer = KmsSigner(VERSION, service.client)
        signer.sign(b"a")
        signer.sign(b"b")
        assert sorted(service.asked) == ["public", "sign", "sign"]

    def test_a_signature_that_does_not_fit_is_not_used(self, service: FakeKms) -> None:
        service.damage = lambda signature: bytes(64)
        with pytest.raises(SigningUnavailableError, match="does not fit what was sent; nothing was published"):
            KmsSigner(VERSION, service.client).sign(b"a")

    def test_a_version_that_is_not_there_is_the_users_mistake(self, service: FakeKms) -> None:
        with pytest.raises(InputError, match=r"cryptoKeyVersions/7: refused .*EC_SIGN_ED25519"):
            KmsSigner(VERSION[:-1] + "7", service.client).sign(b"a")

    def test_a_key_of_another_kind_is_told(self, service: FakeKms) -> None:
        service.key = generate_private_key(SECP256R1())
        with pytest.raises(InputError, match=r"another kind .*expected ed25519"):
            _ = KmsSigner(VERSION, service.client).public

    def test_a_service_that_is_away_may_come_back(self, service: FakeKms, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kms, "SECONDS", 0.5)
        service.stop()
        with pytest.raises(SigningUnavailableError, match="no answer"):
            KmsSigner(VERSION, service.client).sign(b"a")

    @pytest.mark.parametrize("name", ["", "key", VERSION.rpartition("/cryptoKeyVersions")[0]])
    def test_the_name_of_a_version_is_needed(self, name: str) -> None:
        with pytest.raises(InputError, match="no version of a key"):
            KmsSigner(name)


class TestEnvironment:
    def test_nothing_signs_where_nothing_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(SIGNING_KEY, raising=False)
        assert signer_from_environment() is None

    def test_a_file(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        public = new_pair(tmp_path)
        monkeypatch.setenv(SIGNING_KEY, str(tmp_path / PRIVATE_NAME))
        signer = signer_from_environment()
        assert signer is not None
        assert signer.public == public

    def test_a_key_of_kms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(SIGNING_KEY, f"gcpkms://{VERSION}")
        assert isinstance(signer_from_environment(), KmsSigner)

    @pytest.mark.parametrize(
        ("named", "message"),
        [
            ("no/such.pem", "no/such.pem: cannot be read"),
            ("awskms://key", "expected a PEM file, or gcpkms://"),
            ("gcpkms://key", "no version of a key"),
        ],
    )
    def test_what_cannot_sign_is_told(self, monkeypatch: pytest.MonkeyPatch, named: str, message: str) -> None:
        monkeypatch.setenv(SIGNING_KEY, named)
        with pytest.raises(InputError, match=message):
            signer_from_environment()

    def test_public_keys_of_kms_are_asked_for_once(self, monkeypatch: pytest.MonkeyPatch, service: FakeKms) -> None:
        monkeypatch.setattr(kms_v1, "KeyManagementServiceClient", lambda: service.client)
        monkeypatch.setenv(PUBLIC_KEYS, f"gcpkms://{VERSION}, gcpkms://{VERSION}")
        kms.public_key.cache_clear()
        keyring = [Keyring.from_environment() for _ in range(2)][-1]
        (key,) = keyring.keys.values()
        assert key.accepts(service.key.sign(b"a release"), b"a release")
        assert service.asked == ["public"]
        kms.public_key.cache_clear()

    def test_a_public_key_of_kms_that_is_none_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(PUBLIC_KEYS, "gcpkms://key")
        with pytest.raises(InputError, match="'key' is no version of a key"):
            Keyring.from_environment()


class TestFiles:
    def test_only_this_user_reads_the_private_key(self, tmp_path: Path) -> None:
        new_pair(tmp_path / "new" / "pair")
        assert (tmp_path / "new" / "pair" / PRIVATE_NAME).stat().st_mode & 0o777 == 0o600

    def test_no_key_is_ever_written_over(self, tmp_path: Path) -> None:
        new_pair(tmp_path)
        before = (tmp_path / PRIVATE_NAME).read_bytes()
        with pytest.raises(InputError, match="is there already, and a key is never written over"):
            new_pair(tmp_path)
        assert (tmp_path / PRIVATE_NAME).read_bytes() == before

    def test_a_key_with_a_password_or_of_another_kind(self, tmp_path: Path) -> None:
        other = generate_private_key(SECP256R1())
        file = tmp_path / "key.pem"
        file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with pytest.raises(InputError, match=r"key\.pem: is a key of another kind"):
            FileSigner(file)
        file.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")))
        with pytest.raises(InputError, match="without a password"):
            FileSigner(file)

    def test_a_folder_and_a_file_of_several_public_keys(self, tmp_path: Path) -> None:
        ids = {new_pair(tmp_path / name).id for name in ("old", "new")}
        both = tmp_path / "both"
        both.mkdir()
        for name in ("old", "new"):
            os.link(tmp_path / name / PUBLIC_NAME, both / f"{name}.pem")
        assert set(Keyring.from_path(both).keys) == ids
        together = tmp_path / "together.pem"
        together.write_bytes(b"".join(path.read_bytes() for path in both.iterdir()))
        assert set(Keyring.from_path(together).keys) == ids
        assert set(Keyring.from_path(tmp_path / "old").keys) < ids  # the private key beside it is left alone

    def test_where_there_is_no_public_key(self, tmp_path: Path) -> None:
        new_pair(tmp_path)
        (tmp_path / PUBLIC_NAME).unlink()
        for path, message in (
            (tmp_path, "holds no public key"),
            (tmp_path / PRIVATE_NAME, "holds no public key"),
            (tmp_path / "none.pem", r"none\.pem: cannot be read"),
        ):
            with pytest.raises(InputError, match=message):
                Keyring.from_path(path)

    @pytest.mark.parametrize("text", ["", "AAAA", "not base64!"])
    def test_a_text_that_is_no_key(self, text: str) -> None:
        with pytest.raises(InputError, match="no ed25519 public key"):
            Keyring.from_texts([text])
