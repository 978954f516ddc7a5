"""What the stand-in for Dataflow knows of jobs, in the words of its REST API, and what it was asked."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

ENDED = {"JOB_STATE_DONE", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_UPDATED", "JOB_STATE_DRAINED"}
ENDING = {"JOB_STATE_CANCELLED": "JOB_STATE_CANCELLING", "JOB_STATE_DRAINED": "JOB_STATE_DRAINING"}
ENDING["JOB_STATE_DRAINING"] = "JOB_STATE_DRAINING"  # what Beam asks for, where Airflow and gcloud ask for DRAINED

Job = dict[str, Any]


class Refused(Exception):
    """The service refuses a request.

    Args:
        code: HTTP's.
        message: Why.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class JobStore:
    """Jobs of all projects and regions.

    A job is PENDING when it is made and RUNNING when it is looked at for the first time. A batch job runs until
    ``work`` has done it, a streaming job until somebody ends it.

    Attributes:
        work: Does a batch job; raises with the message that the job fails with. None leaves it RUNNING.
        refuse: Refuse every call so.
        linger: Let jobs that were asked to end go on doing so.
        refuse_updates: Let a job that replaces another fail, with this message.
        created: What ``CreateJob`` was asked, in order.
        asked: The states that jobs were asked to take: job id, state.
    """

    work: Callable[[Job], None] | None = None
    refuse: Refused | None = None
    linger: bool = False
    refuse_updates: str = ""
    created: list[Job] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    messages: dict[str, list[str]] = field(default_factory=dict)
    _begun: set[str] = field(default_factory=set)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def create(self, project: str, location: str, given: Job) -> Job:
        """Make a job; of a name that an active job has, answer with that one, as Dataflow does."""
        with self._lock:
            self._check()
            replaced = given.get("replaceJobId") or None
            active = self._active(given["name"])
            if active is not None and active["id"] != replaced:
                return public(active)
            if replaced is not None and (active is None or active["id"] != replaced):
                raise Refused(400, f"job {replaced} is not active, so nothing can replace it")
            self.created.append(json.loads(json.dumps(given)))
            job = given | {
                "id": f"2026-01-01_00_00_00-{next(self._numbers)}",
                "projectId": project,
                "location": location,
                "createTime": now(),
                "currentState": "JOB_STATE_PENDING",
            }
            self.jobs[job["id"]] = job
            if replaced is not None and self.refuse_updates:
                self._end(job, "JOB_STATE_FAILED", self.refuse_updates)
            elif replaced is not None and active is not None:
                self._end(active, "JOB_STATE_UPDATED")
            return public(job)

    def look(self, job_id: str) -> Job:
        """Return a job, which goes on while it is looked at."""
        with self._lock:
            self._check()
            if job_id not in self.jobs:
                raise Refused(404, f"job {job_id} does not exist")
            job = self.jobs[job_id]
            if job["currentState"] == "JOB_STATE_PENDING":
                job["currentState"] = "JOB_STATE_RUNNING"
            if job["currentState"] == "JOB_STATE_RUNNING":
                self._begin(job)
            elif job["currentState"] in ENDING.values() and not self.linger:
                drained = job["currentState"] == "JOB_STATE_DRAINING"
                job["currentState"] = "JOB_STATE_DRAINED" if drained else "JOB_STATE_CANCELLED"
            return public(job)

    def list(self, name: str = "", *, active: bool = False) -> list[Job]:
        """Return the jobs, newest first."""
        with self._lock:
            self._check()
            found = [job for job in self.jobs.values() if not (active and job["currentState"] in ENDED)]
            return [public(job) for job in reversed(found) if not name or job["name"] == name]

    def request(self, job_id: str, state: str) -> Job:
        """Ask a job to take a state."""
        with self._lock:
            self._check()
            if job_id not in self.jobs:
                raise Refused(404, f"job {job_id} does not exist")
            job = self.jobs[job_id]
            if state not in ENDING or job["currentState"] in ENDED:
                raise Refused(400, f"job {job_id} is {job['currentState']} and cannot be asked for {state}")
            self.asked.append((job_id, state))
            job["currentState"] = ENDING[state]
            return public(job)

    def told(self, job_id: str) -> list[dict[str, str]]:
        """Return the messages of a job, all of them errors, as the service tells of them."""
        return [
            {"id": str(number), "time": now(), "messageText": text, "messageImportance": "JOB_MESSAGE_ERROR"}
            for number, text in enumerate(self.messages.get(job_id, []))
        ]

    def wait(self, condition: Callable[[JobStore], bool], *, seconds: float = 60.0) -> None:
        """Wait until something holds.

        Raises:
            TimeoutError: It does not.
        """
        deadline = time.monotonic() + seconds
        while not condition(self):
            if time.monotonic() > deadline:
                raise TimeoutError(f"jobs: {[(j['name'], j['currentState']) for j in self.jobs.values()]}")
            time.sleep(0.05)

    def _begin(self, job: Job) -> None:
        if job["type"] == "JOB_TYPE_BATCH" and self.work is not None and job["id"] not in self._begun:
            self._begun.add(job["id"])
            threading.Thread(target=self._do, args=(job,), daemon=True).start()

    def _do(self, job: Job) -> None:
        assert self.work is not None
        try:
            self.work(job)
        except Exception as error:
            state, message = "JOB_STATE_FAILED", str(error)
        else:
            state, message = "JOB_STATE_DONE", ""
        with self._lock:
            if job["currentState"] == "JOB_STATE_RUNNING":
                self._end(job, state, message)

    def _end(self, job: Job, state: str, message: str = "") -> None:
        job["currentState"] = state
        if message:
            self.messages.setdefault(job["id"], []).append(message)

    def _active(self, name: str) -> Job | None:
        return next((j for j in self.jobs.values() if j["name"] == name and j["currentState"] not in ENDED), None)

    def _check(self) -> None:
        if self.refuse is not None:
            raise self.refuse


def public(job: Job) -> Job:
    """Return a job as the service tells of it: without its steps, and as a copy."""
    told: Job = json.loads(json.dumps({name: value for name, value in job.items() if name != "steps"}))
    return told


def now() -> str:
    """Return the time as Google writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
