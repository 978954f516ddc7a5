"""Releases that must not serve, published while requests flow."""

from __future__ import annotations

import json
import resource
import shutil

import pytest

from modelfleet.data.schema import Feature
from modelfleet.releases.manifest import BundleRef
from modelfleet.spec.data import ColumnType
from tests.faults.plant import SCHEMA

pytestmark = pytest.mark.flink


def shard_of(bundle):
    return next(bundle.path.glob("shards/*"))


def corrupt(bundle):
    data = bytearray(shard_of(bundle).read_bytes())
    data[len(data) // 2] ^= 0xFF
    shard_of(bundle).write_bytes(data)


def truncate(bundle):
    shard_of(bundle).write_bytes(shard_of(bundle).read_bytes()[:-100])


def half_write(bundle):
    (bundle.path / "bundle.json").unlink()
    shard_of(bundle).unlink()


def remove(bundle):
    shutil.rmtree(bundle.path)


def make_it_pickle(bundle):
    """As somebody would who can write to the storage: code where a model should be, under the right name."""
    shard_of(bundle).write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")


def point_outside(bundle):
    manifest = json.loads((bundle.path / "bundle.json").read_text())
    manifest["files"][0]["path"] = "../../../../../../etc/passwd"
    (bundle.path / "bundle.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("a corrupt bundle", corrupt, "sha256"),
        ("a truncated bundle", truncate, "truncated"),
        ("a bundle half written", half_write, "bundle.json"),
        ("a bundle that is not there", remove, "bundle.json|not there"),
        ("a malicious bundle: a pickle for a model", make_it_pickle, "altered"),
        ("a malicious bundle: a path out of its folder", point_outside, "altered"),
    ],
)
def test_a_damaged_bundle(campaign, name, damage, says):
    with campaign.fault(name):
        good = campaign.wait_until_it_answers().generation
        bundle = campaign.plant.bundle(0.0)
        damage(bundle)
        bad = campaign.plant.release(bundle)
        assert any(word in campaign.wait_for_refusal(bad.generation) for word in says.split("|"))
        assert campaign.wait_until_it_answers().generation == good
    campaign.wait_for(campaign.plant.release().generation)


def test_a_hash_that_is_another(campaign):
    with campaign.fault("a bundle of another hash than the release names"):
        good = campaign.wait_until_it_answers().generation
        bad = campaign.plant.ledger.publish(
            fleet="plant",
            bundle=BundleRef(uri=str(campaign.plant.bundle(0.0).path), sha256="0" * 64),
            reason="promote",
        )
        assert "sha256" in campaign.wait_for_refusal(bad.generation)
        assert campaign.wait_until_it_answers().generation == good
    campaign.wait_for(campaign.plant.release().generation)


def test_a_bundle_that_needs_a_column_nobody_sends(campaign):
    """It can be loaded, so it serves: each request is a dead letter that names the column, until somebody goes back."""
    schema = SCHEMA.model_copy(
        update={"features": (*SCHEMA.features, Feature(name="pressure", type=ColumnType.NUMBER))}
    )
    with campaign.fault("a bundle of another schema: it needs a column that no producer sends"):
        good = campaign.plant.ledger.newest()
        bad = campaign.plant.release(campaign.plant.bundle(0.0, schema=schema))
        campaign.wait_for_lease(lambda lease: lease.serving == bad.generation)
        letter = campaign.wait_for_dead_letter(campaign.ask())
        assert "pressure" in letter.reason
        campaign.roll_back_to(good)


def test_a_full_disk_while_loading(campaign):
    """No file of the worker may grow any more, as on a full disk; what it has in memory goes on answering."""
    with campaign.fault("no space for the files of a new bundle; freed again"):
        good = campaign.wait_until_it_answers().generation
        worker = campaign.leases()[0].pid
        limits = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (1, limits[1]))
        try:
            bundle = campaign.plant.bundle(float(7))
            release = campaign.plant.release(bundle, uri=f"file://{bundle.path}", add=7.0)
            campaign.pause(3)
            assert campaign.wait_until_it_answers().generation == good
        finally:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, limits)
        campaign.wait_for(release.generation)
