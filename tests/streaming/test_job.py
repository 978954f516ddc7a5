"""One job per fleet: started once, described, recovered, stopped, started again where it was."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from modelfleet.engines.flink import find_job, latest_checkpoint
from modelfleet.engines.operate import stop_serving
from modelfleet.engines.serve import serving_status, start_serving
from modelfleet.serving.lease import LeaseFolder

pytestmark = pytest.mark.flink


def worker(live):
    """Return the process id in the lease of the job's one worker."""
    return next(lease.pid for lease in LeaseFolder(live.shop.folders.leases).all() if lease.job == live.job.name)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_starting_it_again_returns_the_running_one(live):
    again = start_serving(live.shop.spec, live.shop.home)
    assert again.already_running
    assert again.job_id == live.job.job_id
    assert serving_status(live.shop.spec, live.shop.home).job_id == live.job.job_id


def test_checkpoints_succeed_and_do_not_grow(live):
    """Without the mended runner the first of them fails, and each is larger than the one before."""
    live.shop.ask()
    live.wait_for_checkpoints(2)
    first = live.checkpoints()
    live.wait_for_checkpoints(5)
    last = live.checkpoints()
    assert last["counts"]["failed"] == first["counts"]["failed"]
    sizes = [found["latest"]["completed"]["state_size"] for found in (first, last)]
    assert sizes[1] - sizes[0] < 10_000  # one leaked remainder is 18,000, and there are four a second


def test_a_killed_worker_is_replaced_and_nothing_is_lost(live):
    shop = live.shop
    stop = threading.Event()

    def traffic():
        while not stop.wait(0.05):
            shop.drop([shop.request() for _ in range(2)])

    sender = threading.Thread(target=traffic)
    sender.start()
    try:
        shop.ask()
        killed = worker(live)
        os.kill(killed, signal.SIGKILL)
        shop.until(lambda: any(lease.pid != killed for lease in LeaseFolder(shop.folders.leases).all()))
        shop.ask()
    finally:
        stop.set()
        sender.join()
    shop.until(lambda: not shop.unanswered())
    assert find_job(live.server, live.job.name).job_id == live.job.job_id  # the same job, started again by itself


def test_a_killed_job_server_loses_nothing_and_the_next_job_goes_on_from_its_checkpoint(live):
    shop = live.shop
    done = {answer.request_id for answer in shop.ask(20)}
    live.wait_for_checkpoints(2)
    orphan = worker(live)
    os.kill(live.server.pid, signal.SIGKILL)
    shop.until(lambda: not live.server.answers())
    shop.drop([shop.request() for _ in range(5)])
    started = live.start()
    assert started.restored_from is not None
    shop.until(lambda: not shop.unanswered())
    assert gone(orphan)
    again = [answer.request_id for answer in shop.answers() if answer.request_id in done]
    assert len(again) == len(done)  # what the checkpoint has seen answered is not answered again


def test_a_stopped_job_is_gone_and_starts_again_where_it_was(live):
    shop = live.shop
    shop.ask(5)
    live.wait_for_checkpoints(2)
    pid = worker(live)
    assert stop_serving(shop.spec, shop.home)
    assert find_job(live.server, live.job.name) is None
    assert serving_status(shop.spec, shop.home) is None
    assert gone(pid)
    assert [lease for lease in LeaseFolder(shop.folders.leases).all() if lease.pid == pid] == []
    assert not stop_serving(shop.spec, shop.home)

    shop.drop([shop.request()])
    checkpoint = latest_checkpoint(shop.home.flink / "checkpoints", live.job.job_id)
    assert live.start().restored_from == str(checkpoint)
    shop.until(lambda: not shop.unanswered())


def test_a_damaged_checkpoint_is_passed_over_and_nothing_is_lost(live):
    shop = live.shop
    shop.ask(2)
    live.wait_for_checkpoints(2)
    stop_serving(shop.spec, shop.home)
    for metadata in (shop.home.flink / "checkpoints").glob("*/chk-*/_metadata"):
        metadata.write_bytes(metadata.read_bytes()[:100])
    shop.drop([shop.request()])
    assert live.start().restored_from is None
    shop.until(lambda: not shop.unanswered())
