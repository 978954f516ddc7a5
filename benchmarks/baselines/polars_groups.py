"""Polars' ``group_by``; each group becomes a pandas frame, because scikit-learn's pipeline wants one."""

from __future__ import annotations

from pathlib import Path

from benchmarks.baselines.gated import Train, gated_main
from benchmarks.data import ENTITY


def load() -> Train:
    """Import Polars and return the training."""
    import polars

    from benchmarks.baselines.frames import plain
    from benchmarks.baselines.one_entity import train_file

    def train(data: Path, champions: Path, folder: Path) -> int:
        groups = polars.read_parquet(data).group_by(ENTITY)
        return sum(train_file(plain(rows.to_pandas()), str(entity), champions, folder) for (entity,), rows in groups)

    return train


if __name__ == "__main__":
    gated_main(load)
