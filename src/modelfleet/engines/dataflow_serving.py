"""The streaming job of a fleet on Dataflow.

Nothing of it is remembered here: Dataflow itself lets no two active jobs have one name, knows what a job replaced, and
keeps the hash of its graph as a label.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from modelfleet.engines.dataflow_jobs import DataflowJob, DataflowJobs
from modelfleet.engines.dataflow_options import dataflow_options
from modelfleet.engines.launch import run_job
from modelfleet.engines.preflight import check_engine
from modelfleet.engines.submission import graph_of
from modelfleet.errors import CloudSetupError, EngineUnavailableError
from modelfleet.spec.source import PubsubSourceSpec

if TYPE_CHECKING:
    from modelfleet.home import Home
    from modelfleet.spec.fleet import FleetSpec

UPDATE_SECONDS = 600.0
"""How long Dataflow may take to see whether a running job can go over into another one."""

POLL_SECONDS = 2.0


class DataflowServing:
    """See ``ServingEngine``.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.

    Raises:
        CredentialsError: There are no credentials, or they are refused.
        CloudSetupError: The spec names no project or region.
        EngineUnavailableError: Google does not answer.
    """

    def __init__(self, spec: FleetSpec, home: Home) -> None:
        self._spec = spec
        self._home = home
        self._options = dataflow_options(spec, "serve", home)
        self._name = str(self._options["job_name"])
        named = {name: str(self._options.get(name) or "") for name in ("project", "region")}
        missing = [f"engine_options.{name}" for name, value in named.items() if not value]
        if missing:
            raise CloudSetupError(f"fleet '{spec.fleet}': {' and '.join(missing)} must be set to serve on Dataflow")
        self._jobs = DataflowJobs(named["project"], named["region"])
        self._newest: DataflowJob | None = None

    @property
    def poll_seconds(self) -> float:
        """See ``ServingEngine``; every look is a call that counts against a quota."""
        return POLL_SECONDS

    @property
    def restored_from(self) -> str | None:
        """See ``ServingEngine``: the job that the newest one replaced, of which it has the state."""
        return None if self._newest is None else self._newest.replaces

    @property
    def logs(self) -> str:
        """See ``ServingEngine``."""
        return "it has no job" if self._newest is None else f"its logs are at {self._newest.url}"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """See ``ServingEngine``; other machines are kept out by Dataflow, which takes a name once."""
        path = self._home.fleet(self._spec.fleet).root / "serving" / "dataflow.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def find(self) -> DataflowJob | None:
        """See ``ServingEngine``."""
        self._newest = self._jobs.find(self._name)
        return self._newest

    def runs(self, job: DataflowJob) -> bool | None:
        """See ``ServingEngine``."""
        now = self._jobs.get(job.job_id)
        return None if now.ended else now.state == "RUNNING"

    def start(self, *, discard_state: bool = False) -> DataflowJob:
        """See ``ServingEngine``; what was not answered is still in the source."""
        check_engine(self._spec, "serve", self._home)
        return self._submit()

    def update(self, job: DataflowJob) -> DataflowJob:
        """See ``ServingEngine``.

        Raises:
            CloudSetupError: Dataflow refuses; the old job runs on.
            EngineUnavailableError: It has not taken the update over in time.
        """
        check_engine(self._spec, "serve", self._home)
        new = self._submit(update=True)
        deadline = time.monotonic() + UPDATE_SECONDS
        while True:
            now = self._jobs.get(new.job_id)
            if now.state == "FAILED":
                told = "; ".join(self._jobs.errors(now)) or f"see {now.url}"
                raise CloudSetupError(
                    f"Dataflow does not let job {job.job_id} go over into the new one: {told}. The old job runs on; "
                    "with --discard-state it is drained first and the new one begins with nothing"
                )
            if now.state == "RUNNING":
                return now
            if time.monotonic() > deadline:
                raise EngineUnavailableError(f"job {now.job_id} is still {now.state}: see {now.url}")
            time.sleep(POLL_SECONDS)

    def cancel(self, job: DataflowJob, *, seconds: float) -> None:
        """See ``ServingEngine``."""
        self._jobs.cancel(job, seconds=seconds)

    def drain(self, job: DataflowJob, *, seconds: float, for_good: bool = True) -> str:
        """See ``ServingEngine``; what had not been read is still in the source, which is all the state there is."""
        self._jobs.drain(job, seconds=seconds)
        source = self._spec.serving.source
        return source.subscription if isinstance(source, PubsubSourceSpec) else f"the {source.kind} source"

    def lost_by_restart(self) -> list[str]:
        """See ``ServingEngine``: state belongs to a transform by its name."""
        job = self.find()
        if job is None or job.graph is None:
            return []  # Dataflow itself says whether it fits
        new = graph_mark(graph_of(self._spec, self._home))
        return [] if new == job.graph else [f"the graph was {job.graph} and is {new}"]

    def _submit(self, *, update: bool = False) -> DataflowJob:
        options = {**self._options, "update": update}
        with TemporaryDirectory(prefix="modelfleet-") as folder:
            document = Path(folder) / "spec.json"
            document.write_text(self._spec.model_dump_json(), encoding="utf-8")
            arguments = [f"--fleet={self._spec.fleet}", f"--spec={document}", f"--home={self._home.root}"]
            output = run_job("beam_jobs.serve", arguments, options)
        self._newest = self._jobs.get(json.loads(output.strip().splitlines()[-1])["job_id"])
        return self._newest


def graph_mark(graph: tuple[str, ...] | list[str]) -> str:
    """Return a short text that differs for different graphs, fit for a label.

    Args:
        graph: The transforms, one line each, as ``beam_jobs.serve`` tells them.
    """
    return hashlib.sha256("\n".join(graph).encode()).hexdigest()[:16]
