"""The streaming job: requests in, answers and dead letters out, every release picked up while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import apache_beam as beam

from beam_jobs.handlers.beam_inference import RunInference
from beam_jobs.handlers.fleet import FleetModelHandler
from beam_jobs.pipelines.outcome_output import OutcomeOutput, takes_together, write_outcomes
from beam_jobs.pipelines.request_input import RequestInput, read_requests
from beam_jobs.transforms.outcomes import Outcomes
from beam_jobs.transforms.release_signal import ReleaseSignal
from beam_jobs.transforms.release_watch import ReleaseWatch
from beam_jobs.transforms.request_parsing import ParseRequests
from modelfleet.serving.resident_config import ResidentConfig
from modelfleet.spec.notices import Notices


@dataclass(frozen=True)
class ServeConfig:
    """What the streaming job is told.

    Attributes:
        resident: Which resident fleet answers; names the ledger and the leases too.
        launch: The newest generation at submission.
        requests: Where requests come from.
        outcomes: Where answers and dead letters go.
        max_batch_rows: Most requests predicted in one call.
        notices: What tells of releases besides; None means nothing.
        hint: What the workers that answer need, by Beam's names.
    """

    resident: ResidentConfig
    launch: int
    requests: RequestInput
    outcomes: OutcomeOutput
    max_batch_rows: int = 256
    notices: Notices | None = None
    hint: Mapping[str, str | int] = field(default_factory=dict)


def build_serve(pipeline: beam.Pipeline, config: ServeConfig) -> None:
    """Add the streaming job to a pipeline.

    The names of the transforms are part of the checkpoint: renaming one, or adding one with state, makes a running
    job's checkpoint useless. Releases never change the graph.

    Args:
        pipeline: An empty streaming pipeline.
        config: Source, sink and sizes.
    """
    generations = pipeline | "Releases" >> ReleaseWatch(
        config.resident.releases,
        launch=config.launch,
        poll_seconds=config.resident.poll_seconds,
        notices=config.notices,
    )
    # All of these in one process: the signal tells the resident fleet that predicts, so they share a hint
    hint = config.hint
    signal = ReleaseSignal(generations, config.resident)
    lines, unreadable = read_requests(pipeline, config.requests, signal, hint)
    requests, bad = lines | "Parse" >> ParseRequests().with_resource_hints(**hint)
    handler = FleetModelHandler(config.resident, max_batch_rows=config.max_batch_rows)
    results = requests | "Predict" >> RunInference(handler).with_resource_hints(**hint)
    outcomes = Outcomes(together=takes_together(config.outcomes))
    answers, failed = results | "Outcomes" >> outcomes.with_resource_hints(**hint)
    write_outcomes(answers, (*unreadable, bad, failed), config.outcomes)
