"""A fleet served by a real streaming job: one job server and one job for the whole folder of tests."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from modelfleet.bundles.reader import Bundle
from modelfleet.bundles.writer import BundleWriter
from modelfleet.data.encoded import EncodedRows
from modelfleet.data.schema import Feature, Schema
from modelfleet.engines.job_server import JobServer, running_job_server
from modelfleet.engines.serve import ServingJob, start_serving
from modelfleet.families.base import TrainingShard
from modelfleet.families.linear import LinearFamily
from modelfleet.home import FleetHome, Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.manifest import BundleRef, Release
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.chunk_answer import ChunkAnswer, read_answer
from modelfleet.serving.resident import get_resident
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.spec.data import ColumnType
from modelfleet.spec.fleet import FleetSpec, Task

REPOSITORY = Path(__file__).resolve().parents[2]
SCHEMA = Schema(
    entity=("store",),
    target="y",
    task=Task.REGRESSION,
    classes=(),
    features=(Feature(name="x", type=ColumnType.NUMBER),),
)


def shop_spec(**serving: Any) -> FleetSpec:
    document: dict[str, Any] = {"fleet": "shop", "entity": ["store"], "task": "regression"}
    document |= {"data": {"source": "unused.csv", "target": "y"}, "serving": {"lease_seconds": 2.0} | serving}
    return FleetSpec.model_validate(document)


@dataclass
class Shop:
    """A fleet of stores ``a`` and ``b`` whose models add the generation they were made for to ``x``."""

    home: Home
    spec: FleetSpec = field(default_factory=shop_spec)
    sent: list[str] = field(default_factory=list)

    @property
    def folders(self) -> FleetHome:
        return self.home.fleet(self.spec.fleet)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.folders.releases)

    def bundle(self, add: float, *, pooled: bool = False) -> Bundle:
        x = np.linspace(-5, 5, 40)
        rows = EncodedRows(np.zeros((80, 0), np.int32), np.concatenate([x, x])[:, None])
        shard = TrainingShard(("a", "b"), np.array([0, 40, 80]), rows, np.concatenate([x, x]) + add)
        family = LinearFamily(SCHEMA, {"alpha": 1e-6})
        writer = BundleWriter(
            self.folders.bundles / uuid.uuid4().hex,
            fleet=self.spec.fleet,
            task=SCHEMA.task,
            split_fingerprint="split",
            run_id=f"run-{add}",
        )
        writer.add_shard(0, "linear", {"alpha": 1e-6}, SCHEMA, family.fit(shard).models)
        if pooled:
            whole = TrainingShard(("",), np.array([0, 80]), rows, np.concatenate([x, x]) + add)
            writer.set_pooled("linear", {"alpha": 1e-6}, SCHEMA, family.fit(whole).models)
        return writer.finish(
            pa.table({"entity": ["a", "b"], "rows_train": pa.array([40, 40], pa.int64()), "loss": [0.1, 0.1]})
        )

    def release(self, **changes: Any) -> Release:
        known = self.ledger.generations()
        bundle = self.bundle(float(max(known, default=0) + 1))
        ref = BundleRef(uri=str(bundle.path), sha256=bundle.sha256)
        return self.ledger.publish(**{"fleet": self.spec.fleet, "bundle": ref, "reason": "promote"} | changes)

    def drop(self, lines: Sequence[bytes]) -> None:
        """Put a request file into the folder, by a rename."""
        self.folders.requests.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns()}-{uuid.uuid4().hex}.jsonl"
        temporary = self.folders.requests / f".{name}"
        temporary.write_bytes(b"".join(line + b"\n" for line in lines))
        temporary.rename(self.folders.requests / name)

    def request(self, **changes: Any) -> bytes:
        """Return a good request, noted as sent, with ``changes`` to the row."""
        request_id = uuid.uuid4().hex
        self.sent.append(request_id)
        row = {"store": "a", "x": 1.0} | changes
        return json.dumps({"request_id": request_id, "event_time": "2026-01-31T12:00:00Z", "row": row}).encode()

    def answers(self) -> list[Answer | ChunkAnswer]:
        return [read_answer(line) for line in _lines(self.folders.answers)]

    def dead_letters(self) -> list[DeadLetter]:
        return [DeadLetter.from_json(line) for line in _lines(self.folders.dead_letters)]

    def ask(self, count: int = 1, seconds: float = 60.0, **changes: Any) -> list[Answer]:
        """Send good requests and wait for their answers."""
        lines = [self.request(**changes) for _ in range(count)]
        ids = set(self.sent[-count:])
        self.drop(lines)
        found: list[Answer] = []

        def all_there() -> bool:
            found[:] = [answer for answer in self.answers() if answer.request_id in ids]
            return {answer.request_id for answer in found} == ids

        self.until(all_there, seconds)
        return found

    def unanswered(self) -> set[str]:
        """Return the ids of good requests that have neither an answer nor a dead letter."""
        there = {answer.request_id for answer in self.answers()} | {str(d.request_id) for d in self.dead_letters()}
        return set(self.sent) - there

    @staticmethod
    def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            threading.Event().wait(0.05)


def _lines(folder: Path) -> list[str]:
    return [line for part in sorted(folder.glob("*.jsonl")) for line in part.read_text().splitlines()]


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A fleet on disk that nobody serves."""
    return Shop(Home(tmp_path))


@pytest.fixture
def config(shop: Shop) -> Iterator[ResidentConfig]:
    """What a process of this test serves: the shop's first release."""
    shop.release()
    config = ResidentConfig("shop", str(shop.folders.releases), str(shop.folders.leases), lease_seconds=3600.0)
    yield config
    get_resident(config).close()


@dataclass
class Live:
    """A fleet that is being served."""

    shop: Shop
    stack: contextlib.ExitStack
    server: JobServer = field(init=False)
    job: ServingJob = field(init=False)

    def start(self) -> ServingJob:
        """Start the job server if none runs, and the job if it does not run."""
        self.server = self.stack.enter_context(running_job_server(self.shop.home))
        self.job = start_serving(self.shop.spec, self.shop.home)
        return self.job

    def checkpoints(self) -> dict[str, Any]:
        """Return Flink's statistics of the job's checkpoints."""
        with urllib.request.urlopen(f"{self.job.url}/checkpoints", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def wait_for_checkpoints(self, count: int) -> None:
        """Wait until so many more checkpoints are complete."""
        goal = self.checkpoints()["counts"]["completed"] + count
        self.shop.until(lambda: self.checkpoints()["counts"]["completed"] >= goal)


@pytest.fixture(scope="session")
def job_server_jar() -> Path:
    subprocess.run([REPOSITORY / "infra" / "flink" / "build.sh"], check=True)
    return REPOSITORY / ".build" / "flink" / "job-server.jar"


@pytest.fixture(scope="package")
def live(tmp_path_factory: pytest.TempPathFactory, job_server_jar: Path) -> Iterator[Live]:
    """A job server on free ports and the streaming job of a fleet with one release."""
    with contextlib.ExitStack() as stack:
        live = Live(Shop(Home(tmp_path_factory.mktemp("home"))), stack)
        live.shop.release()
        live.start()
        yield live
