"""Steady requests to a streaming fleet, and what became of each of them.

``Traffic`` drops JSONL files of requests into the folder the streaming job watches, remembers what it sent, and reads
the answers and dead letters back, keeping the first per request id as every reader of an at-least-once sink must.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelfleet.spec.data import ColumnType
from modelfleet.spec.file import load_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelfleet.spec.fleet import FleetSpec

INCOME = Path(__file__).parents[2] / "fleets" / "income.yaml"
BAD_VALUE = "not a number"


def adult_rows(path: Path, spec: FleetSpec) -> list[dict[str, Any]]:
    """Return the rows of adult.test as requests hold them: typed, null where unknown, without the target.

    Args:
        path: The file: comma-separated, without a header.
        spec: Its data section names the columns, in the file's order.
    """
    columns = spec.data.columns or {}
    numbers = {name for name, column in columns.items() if column.type in (ColumnType.NUMBER, ColumnType.INTEGER)}
    rows = []
    with path.open(encoding="utf-8", newline="") as file:
        for values in csv.reader(file, skipinitialspace=True):
            if len(values) != len(columns):
                continue  # the empty line at the end
            row: dict[str, Any] = {}
            for name, value in zip(columns, values, strict=True):
                if name == spec.data.target:
                    continue
                unknown = value in spec.data.missing
                row[name] = None if unknown else float(value) if name in numbers else value
            rows.append(row)
    return rows


@dataclass
class Summary:
    """What became of the requests.

    Attributes:
        sent: Requests written.
        answered: Of those, how many have an answer.
        dead_lettered: How many have a dead letter and no answer.
        duplicated: Answers and dead letters beyond the first of their request.
        conflicting: Of those, answers whose prediction differs from the first.
        lost: Requests with neither.
        unknown: Answers and dead letters to nothing that was sent.
        generations: Answers by generation.
        served_by: Answers by ``entity`` and ``pooled``.
        reasons: Dead letters by reason.
    """

    sent: int = 0
    answered: int = 0
    dead_lettered: int = 0
    duplicated: int = 0
    conflicting: int = 0
    lost: int = 0
    unknown: int = 0
    generations: dict[int, int] = field(default_factory=dict)
    served_by: dict[str, int] = field(default_factory=dict)
    reasons: dict[str, int] = field(default_factory=dict)


class Traffic:
    """Sends rows over and over at a steady rate, from a thread of its own.

    Args:
        requests: The folder the streaming job watches.
        answers: The folder it writes answers to.
        dead_letters: The folder it writes dead letters to.
        rows: The file whose rows are sent, over and over.
        spec: Names and types the file's columns; None means that of fleet ``income``.
        per_second: Requests per second.
        per_file: Requests per file.
        bad_every: Every so many requests one has text in ``bad_column``, and must come back as a dead letter; 0
            means never.
        bad_column: A number column.
    """

    def __init__(
        self,
        requests: Path,
        answers: Path,
        dead_letters: Path,
        rows: Path,
        *,
        spec: FleetSpec | None = None,
        per_second: float = 50.0,
        per_file: int = 10,
        bad_every: int = 0,
        bad_column: str = "age",
    ) -> None:
        self._requests = requests
        self._folders = {"answer": answers, "dead_letter": dead_letters}
        self._rows = adult_rows(rows, spec or load_spec(INCOME))
        self._pause = per_file / per_second
        self._per_file = per_file
        self._bad_every = bad_every
        self._bad_column = bad_column
        self._name = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
        self._sent: set[str] = set()
        self._read: set[Path] = set()
        self._first: dict[str, dict[str, Any]] = {}
        self._dead: dict[str, dict[str, Any]] = {}
        self._first_of: dict[int, dict[str, float]] = {}
        self._counts: Counter[str] = Counter()
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._requests.mkdir(parents=True, exist_ok=True)
        self._thread.start()

    def stop(self, settle_seconds: float = 30.0) -> Summary:
        """Stop sending, and wait until everything sent has an answer or a dead letter, or the time is over.

        Args:
            settle_seconds: How long to wait for the last answers.
        """
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        deadline = time.monotonic() + settle_seconds
        while (summary := self.summary()).lost and time.monotonic() < deadline:
            time.sleep(0.1)
        return summary

    def summary(self) -> Summary:
        """Read what has come back since the last call, and return what became of everything sent so far."""
        with self._lock:
            sent = set(self._sent)
            self._collect()
            answered = sent & self._first.keys()
            dead = (sent & self._dead.keys()) - answered
            return Summary(
                sent=len(sent),
                answered=len(answered),
                dead_lettered=len(dead),
                duplicated=self._counts["duplicated"],
                conflicting=self._counts["conflicting"],
                lost=len(sent) - len(answered) - len(dead),
                unknown=self._counts["unknown"],
                generations=dict(sorted(Counter(a["generation"] for a in self._first.values()).items())),
                served_by=dict(Counter(a["served_by"] for a in self._first.values())),
                reasons=dict(Counter(d["reason"] for d in self._dead.values())),
            )

    def first_answers(self) -> dict[int, dict[str, float]]:
        """Return when each process first answered by each generation: {generation: {process: seconds since 1970}}."""
        with self._lock:
            self._collect()
            return {generation: dict(by_process) for generation, by_process in self._first_of.items()}

    def _run(self) -> None:
        rows = itertools.cycle(self._rows)
        next_at = time.monotonic()
        for number in itertools.count():
            if self._stopped.is_set():
                return
            self._send_file(number, [next(rows) for _ in range(self._per_file)])
            next_at = max(next_at + self._pause, time.monotonic() - 1.0)  # after a long stall, no burst to catch up
            self._stopped.wait(max(next_at - time.monotonic(), 0.0))

    def _send_file(self, number: int, rows: Sequence[dict[str, Any]]) -> None:
        lines = []
        ids = []
        for position, row in enumerate(rows):
            count = number * self._per_file + position
            bad = self._bad_every and count % self._bad_every == self._bad_every - 1
            request_id = f"{self._name}-{count:08d}"
            sent_row = {**row, self._bad_column: BAD_VALUE} if bad else row
            request = {"request_id": request_id, "event_time": datetime.now(UTC).isoformat(), "row": sent_row}
            lines.append(json.dumps(request))
            ids.append(request_id)
        name = f"{self._name}-{number:06d}.jsonl"
        temporary = self._requests / f".{name}.tmp"
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with self._lock:  # before the rename: an answer may be there at once
            self._sent.update(ids)
        os.replace(temporary, self._requests / name)

    def _collect(self) -> None:
        for kind, folder in self._folders.items():
            for path in sorted(folder.rglob("*.jsonl")):
                if path in self._read or path.name.startswith("."):
                    continue
                for line in path.read_text(encoding="utf-8").splitlines():
                    self._note(kind, json.loads(line))
                self._read.add(path)

    def _note(self, kind: str, result: dict[str, Any]) -> None:
        request_id = result["request_id"]
        if request_id not in self._sent:
            self._counts["unknown"] += 1
            return
        known = self._first if kind == "answer" else self._dead
        if request_id in known:
            self._counts["duplicated"] += 1
            if kind == "answer" and result["prediction"] != known[request_id]["prediction"]:
                self._counts["conflicting"] += 1
            return
        known[request_id] = result
        if kind == "answer":
            processes = self._first_of.setdefault(int(result["generation"]), {})
            at = datetime.fromisoformat(result["processed_time"]).timestamp()
            process = str(result["process"])
            processes[process] = min(at, processes.get(process, at))
