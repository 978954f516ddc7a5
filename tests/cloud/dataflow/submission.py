"""Reads back what was submitted: the request, and the pipeline that was staged beside it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from apache_beam.portability.api import beam_runner_api_pb2

from tests.cloud.dataflow.loopback_google import Google

REPOSITORY = Path(__file__).resolve().parents[3]
IMAGE = "beam:env:docker:v1"


@dataclass(frozen=True)
class Submission:
    """One ``CreateJob``.

    Attributes:
        google: Where it went.
        job: The request.
    """

    google: Google
    job: dict[str, Any]

    @property
    def environment(self) -> dict[str, Any]:
        """The part of the request about workers."""
        found: dict[str, Any] = self.job["environment"]
        return found

    @property
    def pool(self) -> dict[str, Any]:
        """The only pool of workers."""
        (pool,) = self.environment["workerPools"]
        found: dict[str, Any] = pool
        return found

    @property
    def options(self) -> dict[str, Any]:
        """The pipeline options that workers are told."""
        found: dict[str, Any] = self.environment["sdkPipelineOptions"]["options"]
        return found

    @cached_property
    def staged(self) -> bytes:
        """The staged pipeline, which must be the one that the request vouches for."""
        content = self.google.read(self.options["pipelineUrl"])
        assert hashlib.sha256(content).hexdigest() == self.options["pipelineProtoHash"]
        return content

    @cached_property
    def pipeline(self) -> Any:
        """The same, parsed."""
        return beam_runner_api_pb2.Pipeline.FromString(self.staged)

    def hints(self, name: str) -> dict[str, str]:
        """Return the resource hints of a transform, by the last part of their urns.

        Args:
            name: Its name within the pipeline.
        """
        environment = self.pipeline.components.environments[self.transform(name).environment_id]
        assert environment.urn == IMAGE
        image = beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image
        assert image == self.options["sdk_container_image"]
        return {urn.split(":")[2]: value.decode() for urn, value in environment.resource_hints.items()}

    def transform(self, name: str) -> Any:
        """Return a transform by its name within the pipeline."""
        (found,) = [each for each in self.pipeline.components.transforms.values() if each.unique_name == name]
        return found

    def work(self, away: Sequence[Path] = ()) -> None:
        """Do the job.

        Args:
            away: What workers do not see of the machine that submitted it; it is not there meanwhile.

        Raises:
            RuntimeError: With the end of the worker's log.
        """
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(tempfile.NamedTemporaryFile(suffix=".pb"))
            own = stack.enter_context(tempfile.TemporaryDirectory())
            Path(file.name).write_bytes(self.staged)
            environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
            environment |= {"TMPDIR": own, "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{self.google.storage_port}"}
            environment.pop("MODELFLEET_HOME", None)
            for path in away:
                path.rename(path.with_name(f"{path.name}.away"))
                stack.callback(path.with_name(f"{path.name}.away").rename, path)
            done = subprocess.run(
                [sys.executable, "-m", "tests.cloud.dataflow.worker", file.name],
                cwd=REPOSITORY,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise RuntimeError(done.stderr[-4000:])


def works(google: Google, away: Sequence[Path] = ()) -> None:
    """Have the stand-in do batch jobs, as Dataflow's workers would.

    Args:
        google: The stand-in.
        away: What its workers do not see.
    """
    google.store.work = lambda job: Submission(google, job).work(away)
