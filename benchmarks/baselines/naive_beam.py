"""The pipeline people start from: rows as Python dicts, grouped by entity, one scikit-learn pipeline per entity.

Written anew after Beam's example of training per entity, and extended to the whole gated step. Its faults are mended
(missing values, one file per model, numbers that are numbers), so it is slow for its design only. It runs on the
runner modelfleet uses.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.baselines.gated import Train, gated_main
from benchmarks.data import ENTITY


def load() -> Train:
    """Import Beam and return the training."""
    import apache_beam as beam
    import pandas as pd
    from apache_beam.options.pipeline_options import PipelineOptions

    from benchmarks.baselines.one_entity import train_file
    from benchmarks.ours.fleet import RUNNER

    def train(data: Path, champions: Path, folder: Path) -> int:
        def train_group(group: tuple[str, Iterable[dict[str, Any]]]) -> int:
            entity, rows = group
            return train_file(pd.DataFrame(list(rows)), entity, champions, folder)

        with beam.Pipeline(options=PipelineOptions([*RUNNER, "--no_save_main_session"])) as pipeline:
            _ = (
                pipeline
                | "Read rows" >> beam.io.ReadFromParquet(str(data))
                | "Key by entity" >> beam.Map(lambda row: (row[ENTITY], row))
                | "Group by entity" >> beam.GroupByKey()
                | "Train, evaluate, gate, write" >> beam.Map(train_group)
            )
        return len(list(folder.glob("*.pkl")))

    return train


if __name__ == "__main__":
    gated_main(load)
