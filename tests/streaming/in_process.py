"""A pipeline that runs in the process of the test."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from modelfleet.engines.options import IN_PROCESS


def pipeline() -> beam.Pipeline:
    """Return an empty one."""
    return beam.Pipeline(options=PipelineOptions([f"--runner={IN_PROCESS}", "--direct_num_workers=1"]))
