"""The stage of the serving works: a real broker and a real Flink on loopback, and one streaming job at a time."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.stream.reader import count_messages
from modelfleet.engines.flink import FlinkJob, cancel_job, find_job, tasks_running
from modelfleet.engines.job_server import JobServer, running_job_server
from modelfleet.engines.kafka_broker import running_kafka_broker
from modelfleet.engines.launch import run_job
from modelfleet.engines.options import pipeline_options
from modelfleet.errors import EngineUnavailableError
from modelfleet.home import Home
from modelfleet.spec.fleet import FleetSpec

PARTITIONS = 2
START_SECONDS = 120.0


@dataclass(frozen=True)
class Topics:
    """The topics of one load.

    Attributes:
        requests: What is asked.
        answers: What is answered.
        dead: What cannot be.
    """

    requests: str
    answers: str
    dead: str


@dataclass(frozen=True)
class Stage:
    """A broker and a job server that run.

    Attributes:
        home: Whose they are.
        servers: What Kafka's clients call ``bootstrap.servers``.
        job_server: Where jobs are submitted.
    """

    home: Home
    servers: str
    job_server: JobServer

    def topics(self, name: str) -> Topics:
        """Make new topics; their messages of answers carry the time the broker took them."""
        from confluent_kafka.admin import AdminClient, NewTopic

        mark = f"{name}-{uuid.uuid4().hex[:8]}"
        topics = Topics(f"{mark}-requests", f"{mark}-answers", f"{mark}-dead")
        appended = {"message.timestamp.type": "LogAppendTime"}
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 2})  # must live until the topics do
        made = admin.create_topics(
            [
                NewTopic(topics.requests, PARTITIONS, 1),
                NewTopic(topics.answers, PARTITIONS, 1, config=appended),
                NewTopic(topics.dead, 1, 1, config=appended),
            ]
        )
        for future in made.values():
            future.result(30)
        return topics

    @contextlib.contextmanager
    def running(self, module: str, spec: FleetSpec, arguments: list[str]) -> Iterator[FlinkJob]:
        """Run a streaming pipeline that is none of ours with the options of our own job, for the length of a block.

        Args:
            module: Run as ``python -m`` to submit it.
            spec: Whose engine options it gets.
            arguments: Its own arguments.

        Raises:
            EngineUnavailableError: It does not come up.
        """
        name = f"benchmark-{module.rpartition('.')[2].replace('_', '-')}-{uuid.uuid4().hex[:8]}"
        options = pipeline_options(spec, "serve", self.home) | {"job_name": name}
        run_job(module, arguments, options)
        job = self._started(name)
        try:
            yield job
        finally:
            cancel_job(job)

    def _started(self, name: str) -> FlinkJob:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(EngineUnavailableError):  # busy starting
                job = find_job(self.job_server, name)
                if job is not None and tasks_running(job):
                    return job
            time.sleep(0.2)
        raise EngineUnavailableError(f"job '{name}' does not run after {START_SECONDS:.0f} s; see {self.home.logs}")


@contextlib.contextmanager
def standing(folder: Path) -> Iterator[Stage]:
    """Start a broker and a job server for the length of the block.

    Args:
        folder: Becomes their home folder.

    Raises:
        EngineUnavailableError: One of them is not built, or does not start.
    """
    home = Home(folder)
    with running_kafka_broker(home) as broker, running_job_server(home) as server:
        yield Stage(home, broker.bootstrap_servers, server)


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until something is so.

    Raises:
        EngineUnavailableError: It is not so in time.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise EngineUnavailableError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.05)


def wait_for_answers(stage: Stage, topics: Topics, quiet_seconds: float = 60.0) -> None:
    """Wait until as many messages came out as went in, or nothing more comes: then some are lost, and counted so.

    Args:
        stage: Whose broker is asked.
        topics: Of the load.
        quiet_seconds: So long without a message means that nothing more comes.
    """
    asked = count_messages(stage.servers, topics.requests)
    last, since = -1, time.monotonic()
    while True:
        out = sum(count_messages(stage.servers, topic) for topic in (topics.answers, topics.dead))
        if out != last:
            last, since = out, time.monotonic()
        if out >= asked or time.monotonic() - since > quiet_seconds:
            return
        time.sleep(0.25)
