"""Starts one Beam worker: the program behind ``--environment_type=PROCESS``.

The runner starts it with the address of its provision service, which holds the pipeline options. They are put into
the worker's environment, because a worker started in another way (LOOPBACK, the plain worker pool) never learns the
experiments, and without one of them a swap is never seen (see ``infra/flink/README.md``). A shell script written by
``modelfleet.engines.options`` runs this module with the interpreter of the environment that submitted the job.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path
from tempfile import gettempdir

from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format
from grpc import insecure_channel

logger = logging.getLogger(__name__)

PROVISION_SECONDS = 60


def worker_environment(provision_endpoint: str, worker_id: str) -> dict[str, str]:
    """Ask the runner what this worker is to do, and return it as the environment Beam's worker reads.

    Args:
        provision_endpoint: ``host:port`` of the runner's provision service.
        worker_id: The id the runner gave this worker.

    Raises:
        grpc.RpcError: The runner does not answer.
    """
    with insecure_channel(provision_endpoint) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        info = service.GetProvisionInfo(request, metadata=[("worker_id", worker_id)], timeout=PROVISION_SECONDS).info
    environment = {
        "WORKER_ID": worker_id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(info.control_endpoint.url),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "SEMI_PERSISTENT_DIRECTORY": gettempdir(),
    }
    if info.logging_endpoint.url:
        environment["LOGGING_API_SERVICE_DESCRIPTOR"] = _descriptor(info.logging_endpoint.url)
    if info.status_endpoint.url:
        environment["STATUS_API_SERVICE_DESCRIPTOR"] = _descriptor(info.status_endpoint.url)
    return environment


def main(arguments: list[str] | None = None) -> None:
    """Run a worker until the runner ends it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True, help="file the worker's log is appended to")
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    options, _ = parser.parse_known_args(arguments)
    handler = logging.FileHandler(options.log)
    handler.setFormatter(logging.Formatter(f"%(asctime)s {os.getpid()} %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    logging.getLogger("apache_beam").setLevel(logging.WARNING)  # at INFO it logs every batch
    # It warns of every option that only the runner knows.
    logging.getLogger("apache_beam.options.pipeline_options").setLevel(logging.ERROR)
    signal.signal(signal.SIGTERM, _end)
    os.environ.update(worker_environment(options.provision_endpoint, options.id))
    sdk_worker_main.main(sys.argv)


def _end(number: int, frame: object) -> None:
    """End as Python does, so that the process takes its lease back; the default action would leave it to expire."""
    raise SystemExit(0)


def _descriptor(url: str) -> str:
    return f'url: "{url}"'


if __name__ == "__main__":
    main()
