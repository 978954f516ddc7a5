"""The campaign: a fleet served through Kafka, one fault after the other, every request counted in and out."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from modelfleet.engines.job_server import JobServer, running_job_server
from modelfleet.engines.serve import ServingJob, start_serving
from modelfleet.releases.promote import rollback
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.lease import Lease, LeaseFolder
from modelfleet.spec.fleet import FleetSpec
from tests.faults.plant import Plant, machine
from tests.faults.traffic import Traffic
from tests.kafka.broker import Broker, until

SECONDS = 120.0
BEFORE_SECONDS = 1.5
"""Requests are counted from so long before a fault: the engine goes back to a checkpoint that may be a second old."""


@dataclass(frozen=True)
class Counts:
    """What one fault did to the stream.

    Attributes:
        fault: What happened.
        sent: Requests sent from just before it until the stream had recovered.
        answered: Of those, how many have an answer.
        dead_letters: Dead letters in that time, those of broken messages included.
        lost: Requests with neither.
        twice: Answers given again with the same outcome; a reader that keeps the first per id does not see them.
        conflicting: Answers given again by another generation.
        gap_seconds: Longest time without any answer.
        generation: What answered at the end.
    """

    fault: str
    sent: int
    answered: int
    dead_letters: int
    lost: int
    twice: int
    conflicting: int
    gap_seconds: float
    generation: int


@dataclass
class Campaign:
    """A served fleet with steady traffic.

    Attributes:
        plant: The fleet on disk.
        spec: Its spec.
        broker: The Kafka it reads from and writes to.
        traffic: What flows.
        table: The counts of every fault so far.
    """

    plant: Plant
    spec: FleetSpec
    broker: Broker
    traffic: Traffic
    table: list[Counts] = field(default_factory=list)
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    server: JobServer = field(init=False)
    job: ServingJob = field(init=False)

    def start(self) -> None:
        """Start the job server if none runs, and the job if it does not run."""
        self.server = self._stack.enter_context(running_job_server(self.plant.home))
        self.job = start_serving(self.spec, self.plant.home)

    def stop(self) -> None:
        """Stop the traffic and what serves."""
        with self._stack:
            self.traffic.stop()

    @contextlib.contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """Count what a fault does; within the block it happens and is mended.

        The block begins and ends with a stream that answers. Every request sent in between must have an answer or a
        dead letter, and every answer must be what its generation's models say.

        Args:
            name: For the table.
        """
        self.wait_until_it_answers()
        before, dead_before = set(self.traffic.sent), len(self.traffic.dead)
        self.pause(BEFORE_SECONDS)
        yield
        self.wait_until_it_answers()
        ours = set(self.traffic.sent) - before
        with contextlib.suppress(AssertionError):  # what is missing then is counted as lost
            until(lambda: not (ours & self.traffic.open_ids()), SECONDS)
        counts = self._count(name, ours, self.traffic.dead[dead_before:])
        self.table.append(counts)
        assert counts.lost == 0, counts
        for request_id in ours:
            for _, answer in self.traffic.answered.get(request_id, ()):
                assert answer.prediction == self.traffic.sent[request_id].x + self.plant.adds[answer.generation], answer

    def wait_until_it_answers(self) -> Answer:
        """Send requests until one of them is answered, and return the answer."""
        asked: list[str] = []

        def answered() -> bool:
            if not asked or len(asked) < SECONDS:
                asked.append(self.ask())
            return any(one in self.traffic.answered for one in asked)

        until(answered, SECONDS)
        return next(self.traffic.answered[one][0][1] for one in asked if one in self.traffic.answered)

    def ask(self, number: int = 0, x: float = 1.0) -> str:
        """Send one good request and return its id."""
        return self.traffic.send({"machine": machine(number), "x": x})

    def wait_for(self, generation: int) -> None:
        """Wait until a generation answers."""
        until(lambda: self.wait_until_it_answers().generation == generation, SECONDS)

    def wait_for_dead_letter(self, request_id: str) -> DeadLetter:
        """Wait for the dead letter of a request and return it."""
        self.wait_until(lambda: any(letter.request_id == request_id for letter in list(self.traffic.dead)))
        return next(letter for letter in self.traffic.dead if letter.request_id == request_id)

    def roll_back_to(self, generation: int) -> None:
        """Let an earlier bundle serve again, and wait until it answers."""
        back = rollback(self.plant.ledger, to=generation)
        self.plant.adds[back.generation] = self.plant.adds[generation]
        self.wait_for_lease(lambda lease: lease.serving == back.generation)
        self.wait_for(back.generation)

    @staticmethod
    def wait_until(condition: Callable[[], bool]) -> None:
        """Wait until something is so."""
        until(condition, SECONDS)

    def leases(self) -> list[Lease]:
        """Return the leases of the processes that run."""
        return [lease for lease in LeaseFolder(self.plant.folders.leases).live() if _runs(lease.pid)]

    def wait_for_lease(self, true_of: Callable[[Lease], bool]) -> Lease:
        """Wait until a running process says something of itself, and return its lease."""
        until(lambda: any(map(true_of, self.leases())), SECONDS)
        return next(filter(true_of, self.leases()))

    def wait_for_refusal(self, generation: int) -> str:
        """Wait until a process refuses a generation, and return why."""

        def reason(lease: Lease) -> str | None:
            return next((one.reason for one in lease.refused if one.generation == generation), None)

        return str(reason(self.wait_for_lease(lambda lease: reason(lease) is not None)))

    def kill_workers(self) -> list[int]:
        """Kill every process that serves, and return their process ids."""
        killed = [lease.pid for lease in self.leases()]
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        return killed

    def wait_for_other_workers(self, than: list[int]) -> None:
        """Wait until a process that is none of these serves."""
        self.wait_for_lease(lambda lease: lease.pid not in than and lease.serving is not None)

    @staticmethod
    def pause(seconds: float) -> None:
        """Let a fault last: what happens in that time is the test."""
        threading.Event().wait(seconds)

    def _count(self, name: str, ours: set[str], dead: list[DeadLetter]) -> Counts:
        answers = {one: self.traffic.answered[one] for one in ours if one in self.traffic.answered}
        times = sorted(at for found in answers.values() for at, _ in found)
        generations = {one: {answer.generation for _, answer in found} for one, found in answers.items()}
        twice = sum(len(found) - 1 for found in answers.values())
        conflicting = sum(len(found) - 1 for found in generations.values())
        last = max((item for found in answers.values() for item in found), key=lambda item: item[0])[1]
        return Counts(
            fault=name,
            sent=len(ours),
            answered=len(answers),
            dead_letters=len(dead),
            lost=len(ours & self.traffic.open_ids()),
            twice=twice - conflicting,
            conflicting=conflicting,
            gap_seconds=round(max((b - a for a, b in itertools.pairwise(times)), default=0.0), 1),
            generation=last.generation,
        )


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
