"""Does what a Dataflow job was submitted to do: ``python -m tests.cloud.dataflow.worker pipeline.pb``.

The pipeline is the one that was staged, byte for byte, but for the container image, which this process stands in for.
"""

from __future__ import annotations

import sys
from pathlib import Path

from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner


def run(staged: Path) -> None:
    """Run a staged pipeline to its end."""
    pipeline = beam_runner_api_pb2.Pipeline.FromString(staged.read_bytes())
    for environment in pipeline.components.environments.values():
        environment.urn, environment.payload = python_urns.EMBEDDED_PYTHON, b""
        del environment.dependencies[:]
    FnApiRunner().run_via_runner_api(pipeline, PipelineOptions()).wait_until_finish()


if __name__ == "__main__":
    run(Path(sys.argv[1]))
