"""Reading the data as the frames people work with: categories as plain texts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd


def read_frame(path: Path) -> pd.DataFrame:
    """Return a Parquet file as a frame without categorical columns, which scikit-learn's encoders take slowly."""
    return plain(pd.read_parquet(path))


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with its categorical columns as texts."""
    return frame.astype({name: object for name in frame.select_dtypes("category").columns})
