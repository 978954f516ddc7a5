"""Beam's ``KeyedModelHandler`` on a stream: one scikit-learn tree per key, its models fixed or named by a side input.

``python -m benchmarks.baselines.keyed_stream --servers=... --requests=... --answers=... --models=<folder> --keys=1000
[--side-input] <options of the runner>`` submits it and exits. Source, sink and requests are those of our side. With
the side input, every key's model path comes by ``model_metadata_pcoll``, as Beam's documentation has it for models
that are to be refreshed.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.base import KeyedModelHandler, KeyModelMapping, KeyModelPathMapping, RunInference
from apache_beam.ml.inference.sklearn_inference import ModelFileType, SklearnModelHandlerNumpy
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms import trigger, window

from beam_jobs.transforms.kafka_source import KafkaSource
from beam_jobs.transforms.kafka_writer import KafkaWriter
from beam_jobs.transforms.ticks import Ticks
from benchmarks.baselines.pass_through import submit, topics_parser
from benchmarks.stream.shops import ENTITY, FEATURES, ROWS, shop, training_rows
from modelfleet.spec.kafka_client import KafkaClient

REFRESH_SECONDS = 10.0


class _HandlerWithIds(SklearnModelHandlerNumpy):
    """Takes pairs of request id and row; the handler of one key may have no pre- and postprocessing of its own."""

    def run_inference(
        self, batch: Sequence[tuple[str, Any]], model: Any, inference_args: dict[str, Any] | None = None
    ) -> Iterator[tuple[str, Any]]:
        ids, rows = zip(*batch, strict=True)
        yield from zip(ids, super().run_inference(rows, model, inference_args), strict=True)

    def get_num_bytes(self, batch: Sequence[tuple[str, Any]]) -> int:
        return sum(row.nbytes for _, row in batch)


def model_files(folder: Path, keys: int) -> dict[str, str]:
    """Return the file of each key's pickled tree, grown on the same rows as ours; those not there are written."""
    from sklearn.tree import DecisionTreeRegressor

    folder.mkdir(parents=True, exist_ok=True)
    rows, target = training_rows(0, keys)
    files = {shop(key): folder / f"{shop(key)}.pkl" for key in range(keys)}
    for key, file in enumerate(files.values()):
        if not file.exists():
            mine = slice(key * ROWS, (key + 1) * ROWS)
            model = DecisionTreeRegressor(random_state=0).fit(rows[mine], target[mine])
            file.write_bytes(pickle.dumps(model))
    return {name: str(file) for name, file in files.items()}


def _read(value: bytes) -> tuple[str, tuple[str, Any]]:
    request = json.loads(value)
    row = request["row"]
    return row[ENTITY], (request["request_id"], np.array([row[name] for name in FEATURES]))


def _answer(found: tuple[str, tuple[str, Any]]) -> tuple[None, bytes]:
    key, (request_id, result) = found
    answer = {"request_id": request_id, "entity": key, "prediction": float(result.inference)}
    return None, json.dumps(answer).encode()


def main() -> None:
    """Build and submit."""
    parser = topics_parser("keyed_stream")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--keys", type=int, required=True)
    parser.add_argument("--side-input", action="store_true")
    told, rest = parser.parse_known_args()
    client = KafkaClient(told.servers)
    files = model_files(told.models, told.keys)
    mapped = [KeyModelMapping([key], _HandlerWithIds(file, ModelFileType.PICKLE)) for key, file in files.items()]
    pipeline = beam.Pipeline(options=PipelineOptions(rest, streaming=True))
    paths = None
    if told.side_input:
        named = [KeyModelPathMapping([key], file) for key, file in files.items()]
        first = pipeline | "First paths" >> beam.Create([named])
        later = pipeline | "Clock" >> Ticks(REFRESH_SECONDS) | "Paths" >> beam.Map(lambda _: named)
        paths = (
            (first, later)
            | "All paths" >> beam.Flatten()
            | "Each at once"
            >> beam.WindowInto(
                window.GlobalWindows(),
                trigger=trigger.Repeatedly(trigger.AfterCount(1)),
                accumulation_mode=trigger.AccumulationMode.DISCARDING,
            )
        )
    handler = KeyedModelHandler(mapped, max_models_per_worker_hint=told.keys)
    _ = (
        pipeline
        | "Requests" >> KafkaSource(client, told.requests, group="keyed")
        | "Read" >> beam.Map(_read)
        | "Predict" >> RunInference(handler, model_metadata_pcoll=paths)
        | "Answer" >> beam.Map(_answer)
        | "Answers" >> KafkaWriter(client, told.answers)
    )
    submit(pipeline)


if __name__ == "__main__":
    main()
