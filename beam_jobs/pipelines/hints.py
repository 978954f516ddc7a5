"""Gives a step workers of its own where the engine has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import apache_beam as beam

from modelfleet.spec.fleet import FleetSpec
from modelfleet.spec.hints import HintSpec

Step = TypeVar("Step", bound=beam.PTransform)


def with_hint(spec: FleetSpec, hint: HintSpec) -> Callable[[Step], Step]:
    """Return what gives a transform, and all within it, a hint of the spec.

    Steps with different hints run in different processes. Engines that do not look at hints would start them all the
    same, so there a transform is returned as it is.

    Args:
        spec: The fleet's spec.
        hint: One of its ``resources.hints``.
    """
    arguments = hint.as_arguments() if spec.engine == "dataflow" else {}

    def give(step: Step) -> Step:
        return step.with_resource_hints(**arguments) if arguments else step

    return give
