"""The shape of a pipeline, as text: what a checkpoint or savepoint of its job fits to."""

from __future__ import annotations

import apache_beam as beam


def graph_lines(pipeline: beam.Pipeline) -> list[str]:
    """Return one line per transform that does work: its name, and the names of those it reads from.

    The engine keeps state by a transform's place in the graph, so a job can go on from another's state if these lines
    are the same; what a transform does within may change.

    Args:
        pipeline: A built pipeline.

    Returns:
        Sorted lines such as ``Predict/BatchElements <- Signal/Notice``.
    """
    proto = pipeline.to_runner_api()
    leaves = [
        transform
        for transform in proto.components.transforms.values()
        # One that gives out what it takes in does nothing, and would stand for the maker of it
        if not transform.subtransforms and not set(transform.outputs.values()) & set(transform.inputs.values())
    ]
    maker = {output: leaf.unique_name for leaf in leaves for output in leaf.outputs.values()}
    lines = []
    for leaf in leaves:
        sources = sorted({maker.get(given, "?") for given in leaf.inputs.values()})
        lines.append(f"{leaf.unique_name} <- {', '.join(sources)}" if sources else leaf.unique_name)
    return sorted(lines)
