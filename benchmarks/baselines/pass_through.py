"""The same source and sink with nothing between them: what the engine, the broker and the client cost by themselves.

``python -m benchmarks.baselines.pass_through --servers=... --requests=... --answers=... <options of the runner>``
submits it and exits.
"""

from __future__ import annotations

import argparse
import os
import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.transforms.kafka_source import KafkaSource
from beam_jobs.transforms.kafka_writer import KafkaWriter
from modelfleet.spec.kafka_client import KafkaClient


def topics_parser(name: str) -> argparse.ArgumentParser:
    """Return a parser of what every baseline on a stream is told."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.baselines.{name}")
    for option in ("servers", "requests", "answers"):
        parser.add_argument(f"--{option}", required=True)
    return parser


def submit(pipeline: beam.Pipeline) -> None:
    """Submit a pipeline and end this process at once: Beam leaves a thread for as long as the job lives."""
    pipeline.run()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def main() -> None:
    """Build and submit."""
    told, rest = topics_parser("pass_through").parse_known_args()
    client = KafkaClient(told.servers)
    pipeline = beam.Pipeline(options=PipelineOptions(rest, streaming=True))
    _ = (
        pipeline
        | "Requests" >> KafkaSource(client, told.requests, group="pass-through")
        | "Keyless" >> beam.Map(lambda value: (None, value))
        | "Answers" >> KafkaWriter(client, told.answers)
    )
    submit(pipeline)


if __name__ == "__main__":
    main()
