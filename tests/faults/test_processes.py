"""Processes are killed or paused while requests flow."""

from __future__ import annotations

import os
import signal

import pytest

from tests.kafka.broker import until

pytestmark = pytest.mark.flink


def test_a_killed_worker(campaign):
    with campaign.fault("kill -9 of the worker"):
        campaign.wait_for_other_workers(campaign.kill_workers())


def test_a_worker_killed_again_and_again(campaign):
    with campaign.fault("kill -9 of the worker, three times in a row"):
        for _ in range(3):
            campaign.wait_for_other_workers(campaign.kill_workers())


def test_a_killed_job_server_takes_the_task_manager_with_it(campaign):
    with campaign.fault("kill -9 of the job server and the task manager in it; started again by a supervisor"):
        os.kill(campaign.server.pid, signal.SIGKILL)
        until(lambda: not campaign.server.answers())
        campaign.start()
    assert campaign.job.restored_from is not None


def test_a_killed_broker(campaign):
    with campaign.fault("kill -9 of the broker; started again"):
        campaign.broker.kill()
        campaign.pause(3)
        campaign.broker.start()


def test_a_paused_broker(campaign):
    with campaign.fault("the broker stands still for 30 s"), campaign.broker.paused():
        campaign.pause(30)


def test_a_paused_worker(campaign):
    with campaign.fault("the worker stands still for 5 s"):
        lease = campaign.leases()[0]
        os.kill(lease.pid, signal.SIGSTOP)
        try:
            campaign.pause(5)
        finally:
            os.kill(lease.pid, signal.SIGCONT)


def test_an_idle_process(campaign):
    """Nothing flows, and a release comes: the process goes over to it all the same, and answers with it at once."""
    with campaign.fault("no requests for 15 s, and a release in that time"):
        campaign.traffic.hold()
        try:
            release = campaign.plant.release()
            campaign.wait_for_lease(lambda lease: lease.serving == release.generation)
            campaign.pause(15)
        finally:
            campaign.traffic.go_on()
        assert campaign.wait_until_it_answers().generation == release.generation
