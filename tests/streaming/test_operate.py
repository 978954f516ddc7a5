"""Draining the job and restarting it with another spec: everything that was read is answered, once."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from modelfleet.engines.flink import find_job
from modelfleet.engines.job_record import read_record, write_record
from modelfleet.engines.operate import drain_serving, job_status, restart_serving
from modelfleet.engines.savepoints import list_savepoints
from modelfleet.errors import InputError
from modelfleet.serving.lease import LeaseFolder

pytestmark = pytest.mark.flink


def test_a_drained_job_has_answered_all_it_read_and_the_next_goes_on_from_there(live):
    shop = live.shop
    before = len(shop.sent)
    shop.drop([shop.request() for _ in range(2000)])
    shop.until(lambda: len(shop.unanswered()) < 2000)
    state = drain_serving(shop.spec, shop.home)
    assert shop.unanswered() == set()
    assert find_job(live.server, live.job.name) is None
    assert job_status(shop.spec, shop.home) is None
    assert not [lease for lease in LeaseFolder(shop.folders.leases).all() if lease.job == live.job.name]
    assert [s.path for s in list_savepoints(shop.home, "shop") if s.needed] == [state]
    assert read_record(shop.home, "shop").ended == "drained"
    assert drain_serving(shop.spec, shop.home) is None

    shop.drop([shop.request() for _ in range(5)])
    assert live.start().restored_from == state
    shop.until(lambda: not shop.unanswered())
    counts = Counter(answer.request_id for answer in shop.answers())
    assert {counts[request_id] for request_id in shop.sent[before:]} == {1}


def test_a_restart_goes_over_to_the_new_spec_and_loses_and_repeats_nothing(live):
    shop = live.shop
    stop = threading.Event()

    def traffic():
        while not stop.wait(0.05):
            shop.drop([shop.request() for _ in range(2)])

    before, told = len(shop.sent), []
    serving = shop.spec.serving.model_copy(update={"lease_seconds": 1.0})
    sender = threading.Thread(target=traffic)
    sender.start()
    try:
        shop.ask()
        job = restart_serving(shop.spec.model_copy(update={"serving": serving}), shop.home, said=told.append)
        shop.ask()
    finally:
        stop.set()
        sender.join()
    assert job.job_id != live.job.job_id
    assert job.restored_from is not None
    assert Path(job.restored_from).is_relative_to(shop.home.flink / "savepoints" / "shop")
    assert "has answered everything it had read" in told[0]
    (lease,) = [lease for lease in LeaseFolder(shop.folders.leases).all() if lease.job == job.name]
    assert (lease.expires_at - lease.renewed_at).total_seconds() == 3.0
    shop.until(lambda: not shop.unanswered())
    counts = Counter(answer.request_id for answer in shop.answers())
    assert {counts[request_id] for request_id in shop.sent[before:]} == {1}
    assert job_status(shop.spec, shop.home).job_id == job.job_id
    live.job = job


def test_what_the_state_does_not_fit_is_said_before_anything_is_stopped(live):
    shop = live.shop
    record = read_record(shop.home, "shop")
    assert "Signal/Notice <- " in "\n".join(record.graph)
    other = (*record.graph[1:], "Old source/Read")
    write_record(shop.home, "shop", record.model_copy(update={"graph": other}))
    try:
        with pytest.raises(InputError, match=r"(?s)Nothing was stopped.*no longer there: Old source/Read\n.*new: "):
            restart_serving(shop.spec, shop.home)
    finally:
        write_record(shop.home, "shop", record)
    assert find_job(live.server, live.job.name).job_id == record.jobs[0]
    assert shop.ask()
