"""Beam's ``KeyedModelHandler``: RunInference with one scikit-learn model per key.

Configuration: ``keys``, ``rows``, ``folder`` (for the models). Rows are dense vectors that a transform makes up, and
predictions are only counted: reading, encoding and writing are not on this side's clock, as they are on ours.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

from benchmarks.clock import Config, Work, main
from benchmarks.ours.fleet import RUNNER

FEATURES, TRAINED_ON, CHUNK = 59, 100, 4_096
"""As many columns as the census has levels and numbers; rows each tree is trained on; rows made up at once."""


def setup(config: Config) -> Work:
    """Train the models, warm up on few keys, and return the work."""
    import apache_beam as beam
    import numpy as np
    from apache_beam.ml.inference.base import KeyedModelHandler, KeyModelMapping, RunInference
    from apache_beam.ml.inference.sklearn_inference import ModelFileType, SklearnModelHandlerNumpy
    from apache_beam.options.pipeline_options import PipelineOptions
    from sklearn.tree import DecisionTreeClassifier

    folder = Path(config["folder"])
    folder.mkdir(parents=True, exist_ok=True)

    def model_file(key: int) -> str:
        path = folder / f"{key}.pkl"
        if not path.exists():
            random = np.random.default_rng(key)
            rows = random.random((TRAINED_ON, FEATURES), dtype=np.float32)
            target = rows[:, 0] + 0.3 * random.random(TRAINED_ON) > 0.6
            path.write_bytes(pickle.dumps(DecisionTreeClassifier(random_state=0).fit(rows, target)))
        return str(path)

    def handler(key: int) -> SklearnModelHandlerNumpy:
        return SklearnModelHandlerNumpy(model_uri=model_file(key), model_file_type=ModelFileType.PICKLE)

    def predict(keys: int, rows: int) -> dict[str, int]:
        def made_up(start: int) -> Iterator[tuple[int, np.ndarray]]:
            random = np.random.default_rng(start)
            count = min(CHUNK, rows - start)
            yield from zip(
                random.integers(0, keys, count).tolist(),
                random.random((count, FEATURES), dtype=np.float32),
                strict=True,
            )

        mapped = [KeyModelMapping([key], handler(key)) for key in range(keys)]
        with beam.Pipeline(options=PipelineOptions([*RUNNER, "--no_save_main_session"])) as pipeline:
            _ = (
                pipeline
                | "List chunks" >> beam.Create(list(range(0, rows, CHUNK)))
                | "Make rows up" >> beam.FlatMap(made_up)
                | "Predict" >> RunInference(KeyedModelHandler(mapped, max_models_per_worker_hint=keys))
                | "Count" >> beam.combiners.Count.Globally()
            )
        return {"units": rows}

    for key in range(int(config["keys"])):
        model_file(key)
    predict(2, 200)
    return lambda: predict(int(config["keys"]), int(config["rows"]))


if __name__ == "__main__":
    main(setup)
