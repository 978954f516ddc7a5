"""Release files that come in the wrong order, twice, in halves or not at all, while requests flow."""

from __future__ import annotations

import os
import threading

import pytest

from modelfleet.errors import ReleaseConflictError

pytestmark = pytest.mark.flink


def test_two_promoters_at_once(campaign):
    """Of two who counted alike one wins and the other is told; the stream goes over to the winner's."""
    plant = campaign.plant
    with campaign.fault("two promoters at once, ten times"):
        for _ in range(10):
            newest = plant.ledger.newest()
            bundles = [plant.bundle(add) for add in (1000.0 * (newest + 1), 1000.0 * (newest + 1) + 500)]
            told, won = [], []

            def promote(bundle, add, newest=newest, told=told, won=won):
                try:
                    won.append((plant.release(bundle, after=newest, add=add), add))
                except ReleaseConflictError as error:
                    told.append(str(error))

            adds = (1000.0 * (newest + 1), 1000.0 * (newest + 1) + 500)
            threads = [threading.Thread(target=promote, args=pair) for pair in zip(bundles, adds, strict=True)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert (len(won), len(told)) == (1, 1)
        campaign.wait_for(plant.ledger.newest())


def test_releases_out_of_order(campaign):
    """The newer file is seen first, as on a storage that lists late; the older one is then no news."""
    plant = campaign.plant
    with campaign.fault("a release file that appears after a newer one"):
        older, newer = plant.release(), None
        hidden = plant.folders.releases / ".hidden"
        os.rename(plant.ledger.path(older.generation), hidden)
        newer = plant.release(floor=older.generation)
        campaign.wait_for(newer.generation)
        os.rename(hidden, plant.ledger.path(older.generation))
        campaign.pause(2)
        assert campaign.wait_until_it_answers().generation == newer.generation


def test_a_release_written_again(campaign):
    plant = campaign.plant
    with campaign.fault("the newest release file, written again with the same content"):
        path = plant.ledger.path(plant.ledger.newest())
        copy = path.with_name(".again")
        copy.write_bytes(path.read_bytes())
        os.rename(copy, path)
        campaign.pause(2)


def test_a_half_written_release(campaign):
    """As a tool writes that copies in place: the last good one serves until the file is whole."""
    plant = campaign.plant
    with campaign.fault("a release file half written, whole two seconds later"):
        good = campaign.wait_until_it_answers().generation
        release = plant.release()
        path = plant.ledger.path(release.generation)
        whole = path.read_bytes()
        copy = path.with_name(".half")
        copy.write_bytes(whole[: len(whole) // 2])
        campaign.traffic.hold()  # no request of before may be answered by the release that was there for a moment
        os.rename(copy, path)
        campaign.traffic.go_on()
        campaign.pause(2)
        assert campaign.wait_until_it_answers().generation in (good, release.generation)
        copy.write_bytes(whole)
        os.rename(copy, path)
        campaign.wait_for(release.generation)


def test_a_deleted_release(campaign):
    """What serves goes on serving, and its number is never given to another."""
    plant = campaign.plant
    with campaign.fault("the release file that serves is deleted"):
        release = plant.release()
        campaign.wait_for(release.generation)
        plant.ledger.path(release.generation).unlink()
        campaign.pause(2)
        assert campaign.wait_until_it_answers().generation == release.generation
        after = plant.release()
        assert after.generation > release.generation
        campaign.wait_for(after.generation)


def test_a_worker_that_starts_while_the_newest_release_cannot_be_loaded(campaign):
    plant = campaign.plant
    with campaign.fault("kill -9 of the worker while the newest release is a broken one"):
        good = plant.release()
        campaign.wait_for(good.generation)
        bad = plant.release(bundle=None, add=0.0, uri="/nowhere/bundle")
        campaign.wait_for_refusal(bad.generation)
        campaign.wait_for_other_workers(campaign.kill_workers())
        assert campaign.wait_until_it_answers().generation == good.generation
    campaign.wait_for(plant.release().generation)


def test_the_clock_of_a_lease_jumps(campaign):
    """A lease from the future, such as a machine with a wrong clock leaves, holds nobody up and is swept away."""
    plant = campaign.plant
    with campaign.fault("a lease from a machine whose clock is a day ahead"):
        lease = campaign.leases()[0]
        ahead = lease.model_copy(
            update={
                "process": "another-machine",
                "host": "another-machine",
                "renewed_at": lease.renewed_at.replace(year=lease.renewed_at.year + 1),
                "expires_at": lease.expires_at.replace(year=lease.expires_at.year + 1),
            }
        )
        file = plant.folders.leases / "another-machine.json"
        file.write_text(ahead.model_dump_json())
        try:
            campaign.wait_for(plant.release().generation)
        finally:
            file.unlink(missing_ok=True)
