"""pandas' ``groupby`` with joblib: two processes, sixteen chunks of entities."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.baselines.gated import Train, gated_main
from benchmarks.data import ENTITY

PROCESSES, CHUNKS = 2, 16


def train_chunk(groups: list[tuple[str, pd.DataFrame]], champions: Path, folder: Path) -> int:
    """Train some entities; return how many."""
    from benchmarks.baselines.one_entity import train_file

    return sum(train_file(rows, entity, champions, folder) for entity, rows in groups)


def load() -> Train:
    """Import joblib and return the training."""
    from joblib import Parallel, delayed

    from benchmarks.baselines.frames import read_frame
    from benchmarks.baselines.joblib_pool import train_chunk as work  # not __main__'s: workers import it by name

    def train(data: Path, champions: Path, folder: Path) -> int:
        groups = [(str(entity), rows) for entity, rows in read_frame(data).groupby(ENTITY, observed=True)]
        chunks = [groups[i::CHUNKS] for i in range(CHUNKS)]
        return sum(Parallel(n_jobs=PROCESSES)(delayed(work)(chunk, champions, folder) for chunk in chunks))

    return train


if __name__ == "__main__":
    gated_main(load)
