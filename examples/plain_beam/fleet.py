"""A whole fleet in a Beam pipeline of one's own: RunInference with modelfleet's handler, and a side input for releases.

``python -m examples.plain_beam.fleet --fleet shop --home .modelfleet --signal watch <pipeline options>``
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import apache_beam as beam
from apache_beam.ml.inference.utils import WatchFilePattern
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.handlers.beam_inference import RunInference
from beam_jobs.handlers.fleet import FleetModelHandler
from beam_jobs.transforms.each_at_once import EachAtOnce
from beam_jobs.transforms.jsonl_parts import JsonlParts
from beam_jobs.transforms.model_notices import ModelNotices
from beam_jobs.transforms.outcomes import Outcomes
from beam_jobs.transforms.request_parsing import ParseRequests
from beam_jobs.transforms.request_source import RequestFolder
from modelfleet.home import Home
from modelfleet.serving.resident_config import ResidentConfig


def build(pipeline: beam.Pipeline, options: argparse.Namespace) -> None:
    """Requests from one folder, answers to another; releases by the signal that was asked for."""
    folders = Home(Path(options.home).absolute()).fleet(options.fleet)
    handler = FleetModelHandler(
        ResidentConfig(options.fleet, str(folders.releases), str(folders.leases), job=f"plain-{options.signal}")
    )
    if options.signal == "watch":
        # Any file of the ledger there is must match before the start, and no name ever comes back: releases keep both
        files = pipeline | "Releases" >> WatchFilePattern(f"{folders.releases}/*.json", interval=0.5)
        signal = files | EachAtOnce()
    else:
        lines, _ = pipeline | "Notices" >> RequestFolder(options.notices, poll_seconds=0.1)
        signal = lines | "Releases" >> ModelNotices()
    lines, unreadable = pipeline | "Requests" >> RequestFolder(options.requests, poll_seconds=0.1)
    requests, bad = lines | "Parse" >> ParseRequests()
    results = requests | "Predict" >> RunInference(handler, model_metadata_pcoll=signal)
    answers, failed = results | "Outcomes" >> Outcomes()
    _ = answers | "Answers" >> JsonlParts(options.answers)
    _ = (unreadable, bad, failed) | "Dead letters" >> beam.Flatten() | "Write" >> JsonlParts(options.dead_letters)


def main() -> None:
    """Submit the pipeline and return; it lives on where it was submitted."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("fleet", "home", "requests", "answers", "dead-letters"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--signal", choices=("watch", "event"), default="watch")
    parser.add_argument("--notices", help="folder of JSONL notices, for --signal event")
    options, rest = parser.parse_known_args()
    pipeline = beam.Pipeline(options=PipelineOptions(rest, streaming=True))
    build(pipeline, options)
    pipeline.run()


if __name__ == "__main__":
    main()
    os._exit(0)  # Beam leaves a thread that reads the job's messages for as long as the job lives
