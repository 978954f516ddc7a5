"""A process that is told public keys serves only what their holders released, and says why not the rest."""

from __future__ import annotations

from typing import Any

import pytest

from modelfleet.errors import ReleaseError
from modelfleet.releases.ledger import Ledger
from modelfleet.serving.resident import get_resident
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.signing.keyring import Keyring
from modelfleet.signing.pair import PRIVATE_NAME, new_pair
from modelfleet.signing.signer import FileSigner


@pytest.fixture
def shop(shop: Any, tmp_path: Any) -> Any:
    """A shop that signs what it releases."""
    new_pair(tmp_path / "pair")
    shop.keys = Keyring.from_path(tmp_path / "pair")
    shop.signed = Ledger(shop.folders.releases, keys=shop.keys, signer=FileSigner(tmp_path / "pair" / PRIVATE_NAME))
    return shop


def config(shop: Any) -> ResidentConfig:
    return ResidentConfig(
        "sales", str(shop.folders.releases), str(shop.folders.leases), lease_seconds=3600.0, poll_seconds=0.01,
        public_keys=shop.keys.texts,
    )  # fmt: skip


def publish(shop: Any, ledger: Ledger, add: float) -> None:
    bundle = shop.bundle(add=add)
    ledger.publish(bundle={"uri": str(bundle.path), "sha256": bundle.sha256}, reason="promote", fleet="sales")


def test_a_forged_release_is_refused_with_the_reason_and_the_last_good_one_answers(shop: Any) -> None:
    publish(shop, shop.signed, 0.0)
    resident = get_resident(config(shop))
    try:
        publish(shop, shop.ledger, 5.0)
        shop.until(lambda: bool(resident.refused))
        told = resident.refused[0].reason
        assert f"{shop.ledger.path(2)}: is not signed, and only releases signed by {shop.keys.told} serve here" in told
        assert resident.predict([shop.request()])[0].generation == 1
        shop.until(lambda: any(lease.refused for lease in shop.leases.all()))
        publish(shop, shop.signed, 7.0)
        shop.until(lambda: resident.generation == 3)
    finally:
        resident.close()


def test_a_bundle_put_in_the_place_of_a_signed_one_is_refused(shop: Any) -> None:
    """The hash that the signature covers vouches for every byte."""
    publish(shop, shop.signed, 0.0)
    signed, other = shop.folders.bundles / "bundle-1", shop.bundle(add=9.0)
    signed.rename(shop.folders.bundles / "aside")
    other.path.rename(signed)
    with pytest.raises(ReleaseError, match=r"sha256 is .* the bundle was altered"):
        get_resident(config(shop))


def test_a_ledger_of_forgeries_alone_serves_nothing(shop: Any) -> None:
    publish(shop, shop.ledger, 0.0)
    with pytest.raises(ReleaseError, match=r"generation 1: .* is not signed"):
        get_resident(config(shop))
