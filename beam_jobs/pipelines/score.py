"""The scoring job: files of any size in, one Parquet file of predictions out, in the order of the input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from modelfleet.data.reading import Piece
from modelfleet.releases.manifest import Release
from modelfleet.serving.loading import LoadedFleet, load_release
from modelfleet.serving.score_piece import score_here, score_piece
from modelfleet.serving.scored_file import ScoredPiece, join_parts
from modelfleet.spec.data import DataSpec
from modelfleet.workplace import Workplace

PARTS = "parts"
"""Folder of the parts, in the workplace."""


@dataclass(frozen=True)
class ScoreConfig:
    """What the scoring job is told.

    Attributes:
        fleet: The fleet's name.
        release: The release whose bundle predicts, as JSON.
        data: How to read the files, as JSON of the spec's data section.
        place: Where parts and the output are made.
        output: The Parquet file to write, at the end, beside which rows without a prediction go; a worker that does not
            see it writes one of its name into ``place``.
        alone: Whether one worker scores everything, straight into the output.
        threads: How many score at once on a worker.
        hint: What the workers that score need, by Beam's names.
    """

    fleet: str
    release: str
    data: str
    place: Workplace
    output: str
    alone: bool = False
    threads: int = 1
    hint: Mapping[str, str | int] = field(default_factory=dict)


class _Scores(beam.DoFn):
    """Has one copy of the models per process."""

    def __init__(self, config: ScoreConfig) -> None:
        self._config = config
        self._shared = Shared()
        self._rows = Metrics.counter("score", "rows")
        self._rows_bad = Metrics.counter("score", "rows_bad")

    def setup(self) -> None:
        """Load the models, unless another instance in this process has."""
        release = Release.model_validate_json(self._config.release)

        def load() -> LoadedFleet:
            return load_release(release, fleet=self._config.fleet)

        self._fleet = self._shared.acquire(load, tag=release.bundle.sha256)
        self._data = DataSpec.model_validate_json(self._config.data)

    def _count(self, rows: int, rows_bad: int) -> None:
        self._rows.inc(rows)
        self._rows_bad.inc(rows_bad)


class ScorePieces(_Scores):
    """Scores pieces into parts."""

    def process(self, element: tuple[int, Piece]) -> Iterator[ScoredPiece]:
        """Score one numbered piece."""
        number, piece = element
        config = self._config
        piece = replace(piece, file=config.place.input(piece.file))
        with config.place.opened() as folder:
            (folder / PARTS).mkdir(parents=True, exist_ok=True)
            scored = score_piece(self._fleet, piece, self._data, folder / PARTS, number, config.threads)
        self._count(scored.rows, scored.rows_bad)
        yield scored


class ScoreAll(_Scores):
    """Scores everything into the output: parts would have to be read and written once more to join them."""

    def process(self, element: list[Piece]) -> None:
        """Score all pieces, in their order."""
        self._count(*score_here(self._fleet, element, self._data, Path(self._config.output), self._config.threads))


def _join(pieces: list[ScoredPiece], config: ScoreConfig) -> list[ScoredPiece]:
    output = Path(config.output)
    with config.place.opened(f"{PARTS}/*") as folder:
        here = [piece.moved_to(folder / PARTS) for piece in pieces]
        join_parts(here, output if config.place.url is None else folder / output.name)
    return pieces


def build_score(pipeline: beam.Pipeline, pieces: Sequence[Piece], config: ScoreConfig) -> None:
    """Add the scoring job to a pipeline.

    Args:
        pipeline: An empty batch pipeline.
        pieces: What to read, in the order of the output; at least one.
        config: Models and folders.
    """
    if config.alone:
        _ = pipeline | "List pieces" >> beam.Create([list(pieces)]) | "Score them" >> beam.ParDo(ScoreAll(config))
        return
    _ = (
        pipeline
        | "List pieces" >> beam.Create(list(enumerate(pieces)))
        | "Spread pieces" >> beam.Reshuffle()
        | "Score each piece" >> beam.ParDo(ScorePieces(config)).with_resource_hints(**config.hint)
        | "Gather parts" >> beam.combiners.ToList()
        | "Join parts" >> beam.Map(_join, config)
    )
