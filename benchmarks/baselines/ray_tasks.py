"""pandas' ``groupby`` with Ray: two CPUs, sixteen tasks of entities. Ray is started before the clock is."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.baselines.gated import Train, gated_main
from benchmarks.data import ENTITY

CPUS, TASKS = 2, 16


def load() -> Train:
    """Import Ray, start it, and return the training."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    from benchmarks.baselines.frames import read_frame
    from benchmarks.baselines.joblib_pool import train_chunk

    ray.init(num_cpus=CPUS, include_dashboard=False, logging_level="ERROR", log_to_driver=False)
    work = ray.remote(train_chunk)

    def train(data: Path, champions: Path, folder: Path) -> int:
        groups = [(str(entity), rows) for entity, rows in read_frame(data).groupby(ENTITY, observed=True)]
        return sum(ray.get([work.remote(groups[i::TASKS], champions, folder) for i in range(TASKS)]))

    return train


if __name__ == "__main__":
    gated_main(load)
