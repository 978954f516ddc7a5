"""The model handler: a whole fleet is one model of RunInference."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from beam_jobs.handlers.beam_inference import ModelHandler, PredictionResult
from modelfleet.serving.answer import Answer, DeadLetter
from modelfleet.serving.chunk import Chunk
from modelfleet.serving.chunk_answer import ChunkOutcome
from modelfleet.serving.request import Request
from modelfleet.serving.request_pack import Asked, PackOutcome, RequestPack
from modelfleet.serving.resident import ResidentFleet, get_resident
from modelfleet.serving.resident_config import ResidentConfig

logger = logging.getLogger(__name__)

_RELEASE_NAME = re.compile(r"(?:.*/)?0*([0-9]+)(?:\.json)?")


Outcome = Answer | DeadLetter | ChunkOutcome | PackOutcome

CHUNK_ROWS = 8
"""Rows of a chunk that cost about as much as a single request."""


class FleetModelHandler(ModelHandler[Asked, PredictionResult, ResidentFleet]):
    """Answers requests with the process's resident fleet.

    Every request gives one ``PredictionResult`` whose ``inference`` is an ``Answer`` or a ``DeadLetter``, every chunk
    one whose ``inference`` is a ``ChunkOutcome``, every pack one whose ``inference`` is a ``PackOutcome``; nothing
    about the data raises, so one bad row never costs its batch.
    A new release needs no new model in Beam's sense: the resident fleet loads it in the background and swaps one
    reference.

    It also works in a pipeline of your own, without ``ReleaseSignal``, where every release file is the signal::

        signal = pipeline | WatchFilePattern(f"{releases}/*.json") | EachAtOnce()
        RunInference(FleetModelHandler(config), model_metadata_pcoll=signal)

    Args:
        config: Which resident fleet; equal ones in a process share it.
        max_batch_rows: Most single requests predicted in one call; so many rows of a chunk as ``CHUNK_ROWS`` count as
            one. A chunk or a pack of more is a batch of its own.
    """

    def __init__(self, config: ResidentConfig, *, max_batch_rows: int = 256) -> None:
        # Both at the maximum: whatever is there at the end of the bundle is predicted in one call, with no timer and
        # no state to wait for; bundles are short.
        super().__init__(
            min_batch_size=max_batch_rows,
            max_batch_size=max_batch_rows,
            element_size_fn=_size,
        )
        self._config = config

    def load_model(self) -> ResidentFleet:
        """Return the process's resident fleet; the first call loads the newest release."""
        return get_resident(self._config)

    def run_inference(
        self, batch: Sequence[Asked], model: ResidentFleet, inference_args: Mapping[str, Any] | None = None
    ) -> Iterator[PredictionResult]:
        """Answer a batch, all of it by one generation.

        Args:
            batch: The requests.
            model: What ``load_model`` returned.
            inference_args: Not used.
        """
        outcomes = iter(model.predict([request for asked in batch for request in _requests(asked)]))
        for asked in batch:
            outcome: Outcome
            if isinstance(asked, RequestPack):
                outcome = PackOutcome.of(list(islice(outcomes, len(asked.requests))))
            else:
                outcome = next(outcomes)
            yield PredictionResult(asked, outcome, model_id=_generation_id(outcome))

    def update_model_path(self, model_path: str | None = None) -> None:
        """Take note of a release; returns at once.

        Args:
            model_path: Path or name of a release file, such as ``releases/0000000012.json``. Empty means nothing
                new, which is what ``WatchFilePattern`` emits for a file older than the pipeline.
        """
        if not model_path:
            return
        match = _RELEASE_NAME.fullmatch(model_path)
        if match is None:
            logger.warning("'%s' does not name a release such as 0000000012.json; passed over", model_path)
            return
        get_resident(self._config).notice(int(match[1]))

    def get_num_bytes(self, batch: Sequence[Asked]) -> int:
        """Return the size of a batch for the metrics; Beam's own way is to pickle it."""
        return sum(len(request.original) for asked in batch for request in _requests(asked))

    def get_metrics_namespace(self) -> str:
        """Return the name under which RunInference counts."""
        return "modelfleet_inference"


def _requests(asked: Asked) -> tuple[Request | Chunk, ...]:
    return asked.requests if isinstance(asked, RequestPack) else (asked,)


def _size(asked: Asked) -> int:
    """Return how many single requests cost as much."""
    if isinstance(asked, RequestPack):
        return sum(map(_size, asked.requests))
    return -(-len(asked) // CHUNK_ROWS) if isinstance(asked, Chunk) else 1


def _generation_id(outcome: Outcome) -> str | None:
    return None if outcome.generation is None else str(outcome.generation)
