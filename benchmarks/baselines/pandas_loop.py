"""A loop over pandas' ``groupby``, in one process."""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.gated import Train, gated_main
from benchmarks.data import ENTITY


def load() -> Train:
    """Import pandas and return the training."""
    from benchmarks.baselines.frames import read_frame
    from benchmarks.baselines.one_entity import train_file

    def train(data: Path, champions: Path, folder: Path) -> int:
        groups = read_frame(data).groupby(ENTITY, observed=True)
        return sum(train_file(rows, str(entity), champions, folder) for entity, rows in groups)

    return train


if __name__ == "__main__":
    gated_main(load)
