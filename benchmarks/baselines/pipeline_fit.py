"""Fitting one scikit-learn Pipeline per entity; the frames are ready before the clock starts.

Configuration: ``data``, ``estimator`` (import path), ``parameters``, ``scaler`` (``minmax`` or ``standard``);
``warm_data``.
"""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.data import CATEGORIES, ENTITY, NUMBERS, TARGET


def setup(config: Config) -> Work:
    """Warm up on a few entities and return the work."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

    from benchmarks.baselines.frames import read_frame

    warnings.filterwarnings("ignore")  # of scikit-learn's solver, about having stopped early
    module, _, name = config["estimator"].rpartition(".")
    estimator = getattr(importlib.import_module(module), name)
    scaler = {"minmax": MinMaxScaler, "standard": StandardScaler}[config["scaler"]]
    dense = bool(config.get("dense", False))

    def fit(path: str) -> Work:
        frame = read_frame(Path(path))
        groups = [
            (rows[[*NUMBERS, *CATEGORIES]], (rows[TARGET] == ">50K").to_numpy())
            for _, rows in frame.groupby(ENTITY, observed=True)
        ]

        def work() -> dict[str, int]:
            for features, target in groups:
                encode = ColumnTransformer(
                    [
                        ("categories", OneHotEncoder(handle_unknown="ignore", sparse_output=not dense), [*CATEGORIES]),
                        ("numbers", scaler(), [*NUMBERS]),
                    ],
                    sparse_threshold=0.0 if dense else 0.3,
                )
                model = Pipeline([("encode", encode), ("estimator", estimator(**config["parameters"]))])
                model.fit(features, target)
            return {"units": len(groups)}

        return work

    fit(config["warm_data"])()
    return fit(config["data"])


if __name__ == "__main__":
    main(setup)
