"""Restarting step by step, on an engine that plays along or does not, and Flink's answers to a wish for a savepoint."""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelfleet.engines import operate
from modelfleet.engines.flink import FlinkJob
from modelfleet.engines.job_record import JobRecord
from modelfleet.engines.operate import restart_serving
from modelfleet.engines.savepoints import end_with_savepoint
from modelfleet.errors import EngineUnavailableError, InputError
from modelfleet.serving.lease import Lease, LeaseFolder


class Engine:
    """Runs at most one job, and a process of it; notes what it was asked."""

    def __init__(self, shop, *, running=True, lost=(), drains=True):
        self.asked = []
        self.restored_from = None
        self.lost, self.drains = list(lost), drains
        self.leases = LeaseFolder(shop.folders.leases)
        self.job = self.start() if running else None
        self.asked.clear()

    def alone(self):
        return contextlib.nullcontext()

    def find(self):
        return self.job

    def runs(self, job):
        return True if self.job == job else None

    def start(self, *, discard_state=False):
        self.asked.append("start with nothing" if discard_state else "start")
        now = datetime.now(UTC)
        self.job = FlinkJob(f"job-{len(self.asked)}", "serve", "RUNNING", now, "127.0.0.1", 1)
        self.leases.write(
            Lease(
                process="p", fleet="shop", job="serve", host="h", pid=1, serving=1, serving_since=now, refused=(),
                renewed_at=now, expires_at=now + timedelta(hours=1),
            )
        )  # fmt: skip
        return self.job

    def cancel(self, job, *, seconds):
        self.asked.append("cancel")
        self.job = None

    def drain(self, job, *, seconds, for_good=True):
        self.asked.append("drain")
        if not self.drains:
            raise EngineUnavailableError("no savepoint within 1 s")
        self.job = None
        return "savepoint-1"

    def update(self, job):
        """Say that a job cannot be replaced while it runs, as Flink does."""

    def lost_by_restart(self):
        return self.lost


@pytest.fixture
def engine(shop, monkeypatch):
    def make(**settings):
        shop.release()
        made = Engine(shop, **settings)
        monkeypatch.setattr(operate, "serving_engine", lambda spec, home: made)
        return made

    return make


def test_a_restart_drains_and_starts(engine, shop):
    made, told = engine(), []
    assert restart_serving(shop.spec, shop.home, said=told.append).generation == 1
    assert made.asked == ["drain", "start"]
    assert "savepoint-1" in told[0]


def test_without_a_job_it_only_starts_one(engine, shop):
    made = engine(running=False)
    restart_serving(shop.spec, shop.home)
    assert made.asked == ["start"]


def test_a_job_that_cannot_be_drained_is_cancelled_and_that_is_said(engine, shop):
    made, told = engine(drains=False), []
    restart_serving(shop.spec, shop.home, said=told.append)
    assert made.asked == ["drain", "cancel", "start"]
    assert "no savepoint within 1 s; cancelling it, the new job goes on from its last checkpoint" in told[0]


def test_state_that_cannot_go_over_is_given_up_only_on_demand(engine, shop):
    made = engine(lost=["new: Requests/Kafka"])
    with pytest.raises(InputError, match=r"(?s)Nothing was stopped.*new: Requests/Kafka\n.*--discard-state"):
        restart_serving(shop.spec, shop.home)
    assert made.asked == []
    restart_serving(shop.spec, shop.home, discard_state=True)
    assert made.asked == ["drain", "start with nothing"]


def test_nothing_is_discarded_where_the_state_fits(engine, shop):
    made = engine()
    restart_serving(shop.spec, shop.home, discard_state=True)
    assert made.asked == ["drain", "start"]


def test_the_next_job_starts_from_the_newest_state_there_is(tmp_path):
    for job, number in (("old", 7), ("new", 2)):
        (tmp_path / job / f"chk-{number}").mkdir(parents=True)
        (tmp_path / job / f"chk-{number}" / "_metadata").touch()
    savepoint = tmp_path / "savepoint-1"
    record = JobRecord(jobs=("new", "old"), savepoints={"old": str(savepoint)})
    points = [tmp_path / "new" / "chk-2", tmp_path / "old" / "chk-7"]
    assert record.starting_points(tmp_path) == points
    savepoint.mkdir()
    (savepoint / "_metadata").touch()
    assert record.starting_points(tmp_path) == [points[0], savepoint]  # the checkpoint is older than both
    followed = record.followed_by("newest", restored_from=savepoint, graph=("a",))
    assert (followed.jobs, followed.restored_from) == (("newest", "new", "old"), str(savepoint))
    assert followed.followed_by("x", restored_from=None, graph=()).savepoints == {}


@pytest.fixture
def flink():
    """A cluster that answers what the test says: to POST, and to GET by path; what is missing is 404."""
    answers = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self, key):
            found = answers.get(key, {"errors": ["Not found"]})
            if callable(found):
                found = found()
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            self.answer("savepoint" if "/savepoints/" in self.path else "job")

        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer("stop")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    answers["of"] = FlinkJob("0" * 32, "serve", "RUNNING", datetime.now(UTC), "127.0.0.1", server.server_port)
    yield answers
    server.shutdown()
    thread.join()
    server.server_close()


RUNNING = {"state": "RUNNING"}
IN_PROGRESS = {"status": {"id": "IN_PROGRESS"}}


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"stop": {"errors": ["Job is not stoppable\nat x.Y"]}}, "takes no savepoint: Job is not stoppable$"),
        (
            {
                "stop": {"request-id": "r"},
                "savepoint": {"operation": {"failure-cause": {"stack-trace": "Disk full\nat x.Y"}}},
                "job": RUNNING,
            },
            "the savepoint failed: Disk full$",
        ),
        ({"stop": {"request-id": "r"}, "savepoint": IN_PROGRESS, "job": RUNNING}, "no savepoint within 0 s"),
        ({"stop": {"request-id": "r"}, "savepoint": IN_PROGRESS, "job": {"state": "FAILED"}}, "no whole savepoint in"),
    ],
)
def test_a_savepoint_that_was_not_taken_says_why(flink, tmp_path, answers, message):
    flink.update(answers)
    with pytest.raises(EngineUnavailableError, match=message):
        end_with_savepoint(flink["of"], tmp_path / "s", seconds=0.3)


def test_a_cluster_that_is_gone_before_it_has_told_the_place(flink, tmp_path):
    def gone():
        place = tmp_path / "s" / "savepoint-1"
        place.mkdir(exist_ok=True)
        (place / "_metadata").touch()
        return {"errors": ["no such job"]}

    flink.update({"stop": {"request-id": "r"}, "savepoint": IN_PROGRESS, "job": gone})
    assert end_with_savepoint(flink["of"], tmp_path / "s", seconds=30).name == "savepoint-1"
