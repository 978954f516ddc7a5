"""One model behind Beam's own handler, swapped while it answers; modelfleet only reads requests and writes files.

``python -m examples.plain_beam.one_model --model v1.joblib --columns x,z --signal watch --models 'models/*.joblib'
<pipeline options>``
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.ml.inference.utils import WatchFilePattern
from apache_beam.options.pipeline_options import PipelineOptions

from beam_jobs.handlers.beam_inference import RunInference
from beam_jobs.transforms.each_at_once import EachAtOnce
from beam_jobs.transforms.jsonl_parts import JsonlParts
from beam_jobs.transforms.model_notices import ModelNotices
from beam_jobs.transforms.request_parsing import ParseRequests
from beam_jobs.transforms.request_source import RequestFolder
from modelfleet.serving.answer import DeadLetter
from modelfleet.serving.request import Request

BAD = "bad"


def sklearn_handler(model: str, columns: Sequence[str]) -> Any:
    """Beam's handler of a scikit-learn estimator. It unpickles: give it only files of your own."""
    from apache_beam.ml.inference.base import KeyedModelHandler
    from apache_beam.ml.inference.sklearn_inference import ModelFileType, SklearnModelHandlerNumpy

    return KeyedModelHandler(SklearnModelHandlerNumpy(model, ModelFileType.JOBLIB))


def torch_handler(model: str, columns: Sequence[str]) -> Any:
    """Beam's handler of a PyTorch module: the class is the pipeline's, a new file only brings other weights."""
    import torch
    from apache_beam.ml.inference.base import KeyedModelHandler
    from apache_beam.ml.inference.pytorch_inference import PytorchModelHandlerTensor

    parameters = {"in_features": len(columns), "out_features": 1}
    return KeyedModelHandler(PytorchModelHandlerTensor(model, model_class=torch.nn.Linear, model_params=parameters))


HANDLERS = {"sklearn": sklearn_handler, "torch": torch_handler}


class ToInput(beam.DoFn):
    """Gives the handler nothing that it could fail at: one bad row would cost its whole batch, again and again."""

    def __init__(self, library: str, columns: Sequence[str]) -> None:
        self._library = library
        self._columns = columns

    def process(self, element: Request) -> Iterator[Any]:
        """Yield a request's id and its (columns,) float32 values, or a dead letter."""
        try:
            row = np.array([float(element.row[name]) for name in self._columns], np.float32)
            if not np.isfinite(row).all():
                raise ValueError(f"{row.tolist()} is not finite")
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"columns {', '.join(self._columns)} must be numbers: {type(error).__name__} {error}"
            now = datetime.now(UTC)
            letter = DeadLetter.of(
                element.original, reason=reason, stage="predict", now=now, request_id=element.request_id
            )
            yield beam.pvalue.TaggedOutput(BAD, letter)
            return
        if self._library == "torch":
            import torch

            yield element.request_id, torch.from_numpy(row)
        else:
            yield element.request_id, row


def line(result: tuple[str, Any]) -> str:
    """Return what is written of a result; ``model_id`` is the file that Beam says it used."""
    request_id, found = result
    prediction = float(np.asarray(found.inference).reshape(-1)[0])
    return json.dumps({"request_id": request_id, "prediction": prediction, "model_id": found.model_id})


def build(pipeline: beam.Pipeline, options: argparse.Namespace) -> None:
    """Requests from one folder, answers to another; newer models by the signal that was asked for."""
    columns = options.columns.split(",")
    if options.signal == "watch":
        signal = pipeline | "Models" >> WatchFilePattern(options.models, interval=0.5) | EachAtOnce()
    else:
        lines, _ = pipeline | "Notices" >> RequestFolder(options.notices, poll_seconds=0.1)
        signal = lines | "Models" >> ModelNotices()
    lines, unreadable = pipeline | "Requests" >> RequestFolder(options.requests, poll_seconds=0.1)
    requests, bad = lines | "Parse" >> ParseRequests()
    rows = requests | "To input" >> beam.ParDo(ToInput(options.library, columns)).with_outputs(BAD, main="rows")
    handler = HANDLERS[options.library](options.model, columns)
    results = rows["rows"] | "Predict" >> RunInference(handler, model_metadata_pcoll=signal)
    _ = results | "Line" >> beam.Map(line) | "Answers" >> JsonlParts(options.answers)
    _ = (unreadable, bad, rows[BAD]) | "Dead letters" >> beam.Flatten() | "Write" >> JsonlParts(options.dead_letters)


def main() -> None:
    """Submit the pipeline and return; it lives on where it was submitted."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("model", "columns", "requests", "answers", "dead-letters"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--library", choices=tuple(HANDLERS), default="sklearn")
    parser.add_argument("--signal", choices=("watch", "event"), default="watch")
    parser.add_argument("--models", help="pattern of model files, for --signal watch")
    parser.add_argument("--notices", help="folder of JSONL notices, for --signal event")
    options, rest = parser.parse_known_args()
    pipeline = beam.Pipeline(options=PipelineOptions(rest, streaming=True))
    build(pipeline, options)
    pipeline.run()


if __name__ == "__main__":
    main()
    os._exit(0)  # Beam leaves a thread that reads the job's messages for as long as the job lives
