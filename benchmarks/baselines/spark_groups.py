"""Spark's ``applyInPandas`` on two local cores. The session is started before the clock is."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pandas as pd

from benchmarks.baselines.gated import Train, gated_main
from benchmarks.data import ENTITY

PARTITIONS = 16


def load() -> Train:
    """Import Spark, start it, and return the training."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable  # left alone, Spark's workers are whatever `python3` is
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", str(PARTITIONS))
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")

    def train(data: Path, champions: Path, folder: Path) -> int:
        def train_group(rows: pd.DataFrame) -> pd.DataFrame:
            from benchmarks.baselines.one_entity import train_file

            entity = str(rows[ENTITY].iloc[0])
            return pd.DataFrame({"models": [train_file(rows, entity, champions, folder)]})

        trained = session.read.parquet(str(data)).groupBy(ENTITY).applyInPandas(train_group, "models long")
        return int(trained.toPandas()["models"].sum())

    return train


if __name__ == "__main__":
    gated_main(load)
