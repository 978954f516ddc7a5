"""Submits the streaming job of a fleet and exits; the job lives on where it was submitted.

``python -m beam_jobs.serve --fleet=income --spec=spec.json --home=.modelfleet --runner=PortableRunner ...``. The last
line of standard output is JSON: ``{"job_id": ..., "graph": [...]}``. ``modelfleet.engines.submission`` calls this with
all the options that it needs. Google's launcher of a Flex Template calls it with urls and with
``--template_location``; see ``beam_jobs.template_launch``.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.runners.runner import PipelineState

from beam_jobs.batch_job import submitted
from beam_jobs.launcher import tell
from beam_jobs.pipelines.graph import graph_lines
from beam_jobs.pipelines.outcome_output import FolderOutput, KafkaOutput, OutcomeOutput, PubsubOutput
from beam_jobs.pipelines.request_input import FolderInput, KafkaInput, PubsubInput, RequestInput
from beam_jobs.pipelines.serve import ServeConfig, build_serve
from beam_jobs.template_launch import launch_arguments, read_spec
from beam_jobs.transforms.packs import Packing
from modelfleet.engines.dataflow_jobs import GRAPH_LABEL
from modelfleet.engines.dataflow_options import RUNNER
from modelfleet.engines.dataflow_serving import graph_mark
from modelfleet.engines.flink import wait_for_job
from modelfleet.engines.job_server import find_job_server
from modelfleet.engines.kafka_topics import kafka_client
from modelfleet.errors import EngineUnavailableError, LedgerEmptyError, ModelfleetError
from modelfleet.home import Home
from modelfleet.releases.ledger import Ledger
from modelfleet.releases.notifier import listen_at
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.notices import KafkaNotices, PubsubNotices
from modelfleet.spec.sink import FolderSinkSpec, KafkaSinkSpec
from modelfleet.spec.source import KafkaSourceSpec, PubsubSourceSpec
from modelfleet.stores.place import place

logger = logging.getLogger(__name__)

WORKER_CACHE = "/var/lib/modelfleet/cache/bundles"
"""Where workers on Dataflow keep bundles: below the worker image's home, for they have no folder of this machine."""

APPEAR_SECONDS = 60.0
CLUSTER_APPEAR_SECONDS = 300.0
"""A cluster gets the job server's jar with every job, 160 MB."""


def serve_config(spec: FleetSpec, home: Home, *, job: str) -> ServeConfig:
    """Return what the streaming job of a fleet is told.

    Args:
        spec: The fleet's spec, with absolute paths.
        home: The root folder.
        job: The job's name, written into its leases.

    Raises:
        LedgerEmptyError: The fleet has no release yet.
        EngineUnavailableError: The spec means the local Kafka broker, and that does not answer.
    """
    folders = home.fleet(spec.fleet)
    ledger = Ledger(folders.releases)
    launch = ledger.latest()
    if launch is None:
        raise LedgerEmptyError(spec.fleet)
    serving = spec.serving
    return ServeConfig(
        resident=ResidentConfig(
            fleet=spec.fleet,
            releases=str(folders.releases),
            leases=str(folders.leases),
            job=job,
            lease_seconds=serving.lease_seconds,
            poll_seconds=serving.ledger_poll_seconds,
            memory_mb=serving.memory_mb,
            denylist=str(folders.denylist),
            predict_seconds=serving.predict_seconds,
            cache=serving.cache or (WORKER_CACHE if spec.engine == "dataflow" else str(home.cache / "bundles")),
            cache_mb=serving.cache_mb,
            public_keys=ledger.keys.texts,
        ),
        launch=launch.generation,
        requests=_requests(spec, home),
        outcomes=_outcomes(spec, home),
        max_batch_rows=serving.max_batch_rows,
        notices=None if serving.updates == "watch" else _notices(spec, home),
        hint=spec.resources.hints.predict.as_arguments() if spec.engine == "dataflow" else {},
    )


def _requests(spec: FleetSpec, home: Home) -> RequestInput:
    source = spec.serving.source
    if isinstance(source, KafkaSourceSpec):
        return KafkaInput(
            client=kafka_client(source, home),
            topic=source.topic,
            group=source.group or f"modelfleet-{spec.fleet}",
            start=source.start,
            discover_seconds=source.discover_seconds,
            packing=Packing(lines=spec.serving.max_batch_rows),
        )
    if isinstance(source, PubsubSourceSpec):
        return PubsubInput(source.subscription)
    return FolderInput(source.requests or str(home.fleet(spec.fleet).requests), spec.serving.poll_seconds)


def _outcomes(spec: FleetSpec, home: Home) -> OutcomeOutput:
    sink, folders = spec.serving.sink, home.fleet(spec.fleet)
    if isinstance(sink, FolderSinkSpec):
        return FolderOutput(sink.answers or str(folders.answers), sink.dead_letters or str(folders.dead_letters))
    large = sink.large or str(folders.large_dead_letters)
    if isinstance(sink, KafkaSinkSpec):
        client = kafka_client(sink, home)
        return KafkaOutput(client, sink.answers, sink.dead_letters, large, limit=sink.max_message_bytes)
    return PubsubOutput(sink.answers, sink.dead_letters, large)


def _notices(spec: FleetSpec, home: Home) -> KafkaNotices | PubsubNotices | None:
    """Return where releases are told of, the local broker named where it is meant."""
    notices = spec.serving.notices
    if not isinstance(notices, KafkaNotices):
        return notices
    return notices.model_copy(update={"bootstrap_servers": kafka_client(notices, home).servers})


def _submit(pipeline: beam.Pipeline, graph: list[str], home: Home, name: str) -> Any:
    """Submit the job; on Dataflow with its graph as a label, and only where no job has its name.

    Returns:
        Beam's handle; on Flink once the job has begun.

    Raises:
        EngineUnavailableError: The engine does not take it.
    """
    if pipeline.options.view_as(StandardOptions).runner != RUNNER:
        result, server = pipeline.run(), find_job_server(home)
        seconds = CLUSTER_APPEAR_SECONDS if server.is_cluster else APPEAR_SECONDS
        wait_for_job(server, name, seconds=seconds, refused=lambda: PipelineState.is_terminal(result.state))
        return result
    from apache_beam.runners.dataflow.internal.apiclient import DataflowJobAlreadyExistsError

    cloud = pipeline.options.view_as(GoogleCloudOptions)
    cloud.labels = [*(cloud.labels or []), f"{GRAPH_LABEL}={graph_mark(graph)}"]
    try:
        return submitted(pipeline)
    except DataflowJobAlreadyExistsError as error:
        raise EngineUnavailableError(f"somebody else has started the fleet's job meanwhile: {error}") from error


def main(arguments: list[str] | None = None) -> int:
    """Parse, build, submit; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.serve", description=__doc__)
    parser.add_argument("--fleet", required=True)
    parser.add_argument("--spec", required=True, help="the spec as JSON, or its url below a bucket")
    parser.add_argument("--home", required=True, help="the folder of all fleets, or its url below a bucket")
    parser.add_argument("--graph-only", action="store_true", help="tell the job's transforms; submit nothing")
    known, rest = parser.parse_known_args(arguments)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    logging.getLogger("apache_beam").setLevel(logging.WARNING)
    for name in ("options.pipeline_options", "runners.portability.stager"):
        # They warn of options that only the runner knows, and that there is no pip whose list could be sent along.
        logging.getLogger(f"apache_beam.{name}").setLevel(logging.ERROR)
    try:
        home, spec = Home.named(known.home), read_spec(known.spec, known.fleet)
        options = PipelineOptions(launch_arguments(spec, home, rest), streaming=True, save_main_session=False)
        name = options.get_all_options().get("job_name") or f"modelfleet-{known.fleet}"
        config = serve_config(spec, home, job=name)
    except ModelfleetError as error:
        return tell(error)
    pipeline = beam.Pipeline(options=options)
    build_serve(pipeline, config)
    graph = graph_lines(pipeline)
    if known.graph_only:
        sys.stdout.write(json.dumps({"graph": graph}) + "\n")
        return 0
    if isinstance(config.requests, FolderInput):
        Path(config.requests.folder).mkdir(parents=True, exist_ok=True)
    if isinstance(config.outcomes, FolderOutput):
        for folder in (config.outcomes.answers, config.outcomes.dead_letters):
            Path(folder).mkdir(parents=True, exist_ok=True)
    listen_at(place(config.resident.releases), _notices(spec, home))
    try:
        result = _submit(pipeline, graph, home, name)
    except ModelfleetError as error:
        return tell(error)
    # A template has no job; the portable runner's handle has no method for it
    job_id = getattr(result, "_job_id", None) or (result.job_id() if getattr(result, "has_job", True) else None)
    sys.stdout.write(json.dumps({"job_id": job_id, "graph": graph}) + "\n")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # Beam leaves a thread that reads the job's messages for as long as the job lives
