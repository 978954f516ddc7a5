"""How much each work works on: the sizes the goals are about, and small ones for trying."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A data set's size.

    Attributes:
        rows: Its rows.
        entities: Its entities.
    """

    rows: int
    entities: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.entities:,} entities"


@dataclass(frozen=True)
class ServeSizes:
    """The sizes of the serving works.

    Attributes:
        fleet: Models of the bundles that are swapped while latency and gaps are measured.
        rate: Requests per second then.
        warm_seconds: How long a job is asked before anything counts.
        window_seconds: How long a window is.
        windows: Windows with a swap, and as many without one.
        swaps: Swaps in all, those of the windows included.
        many_swaps: Swaps in a row, while memory is watched.
        many_fleet: Models of the bundles then.
        many_rate: Requests per second then.
        latency_seconds: How long latency is measured in a round.
        keys: Entities of the throughput's comparison.
        backlog: Single requests that are worked off.
        keyed_backlog: Those that KeyedModelHandler works off.
        side_input_backlog: Those that it works off with a side input.
        chunk: Rows of a chunk.
        chunks: Chunks that are worked off.
        entities: Few and many entities.
        rate_rounds: Most rounds of a throughput.
        million: Entities of the largest bundle.
        million_rate: Requests per second for it.
        million_seconds: How long it is asked, after as long a warm-up.
    """

    fleet: int
    rate: float
    warm_seconds: float
    window_seconds: float
    windows: int
    swaps: int
    many_swaps: int
    many_fleet: int
    many_rate: float
    latency_seconds: float
    keys: int
    backlog: int
    keyed_backlog: int
    side_input_backlog: int
    chunk: int
    chunks: int
    entities: tuple[int, int]
    rate_rounds: int
    million: int
    million_rate: float
    million_seconds: float


@dataclass(frozen=True)
class Sizes:
    """The sizes of all works.

    Attributes:
        small: Many small entities.
        large: Fewer large ones.
        five: Five times ``small``.
        sample: Entities of ``small`` a slow baseline runs on; scaled to all.
        sample_large: Likewise of ``large``.
        warm: Entities of the warm-up, and of the smaller piece by which samples are scaled.
        fits: Entities of a fit's comparison, for 100 and for 1,000 rows each.
        fit_rows: Rows per entity of the two.
        grid_rows: Rows of the grid.
        grid_entities: Entities of the grid.
        keyed: Number of keys and of rows for KeyedModelHandler.
        mlflow_sample: Entities registered one by one.
        serve: Of the serving works.
    """

    small: Size
    large: Size
    five: Size
    sample: int
    sample_large: int
    warm: int
    fits: tuple[int, int]
    fit_rows: tuple[int, int]
    grid_rows: tuple[int, ...]
    grid_entities: tuple[int, ...]
    keyed: tuple[tuple[int, int], ...]
    mlflow_sample: int
    serve: ServeSizes


FULL = Sizes(
    small=Size(1_000_000, 10_000),
    large=Size(1_000_000, 1_000),
    five=Size(5_000_000, 50_000),
    sample=300,
    sample_large=100,
    warm=20,
    fits=(500, 100),
    fit_rows=(100, 1_000),
    grid_rows=(100_000, 300_000, 1_000_000),
    grid_entities=(100, 1_000, 10_000),
    keyed=((16, 40_000), (200, 40_000), (1_000, 20_000)),
    mlflow_sample=6,
    serve=ServeSizes(
        fleet=10_000,
        rate=1_000,
        warm_seconds=10,
        window_seconds=5,
        windows=100,
        swaps=200,
        many_swaps=1_000,
        many_fleet=200,
        many_rate=200,
        latency_seconds=30,
        keys=1_000,
        backlog=150_000,
        keyed_backlog=15_000,
        side_input_backlog=2_000,
        chunk=256,
        chunks=16_000,
        entities=(16, 10_000),
        rate_rounds=3,
        million=1_000_000,
        million_rate=500,
        million_seconds=60,
    ),
)
"""What ``goals.toml`` is about."""

QUICK = Sizes(
    small=Size(8_000, 80),
    large=Size(8_000, 20),
    five=Size(40_000, 400),
    sample=12,
    sample_large=4,
    warm=4,
    fits=(12, 4),
    fit_rows=(100, 300),
    grid_rows=(4_000, 8_000),
    grid_entities=(20, 80),
    keyed=((2, 200), (3, 200), (4, 400)),
    mlflow_sample=2,
    serve=ServeSizes(
        fleet=50,
        rate=100,
        warm_seconds=1,
        window_seconds=1,
        windows=2,
        swaps=4,
        many_swaps=12,
        many_fleet=20,
        many_rate=100,
        latency_seconds=2,
        keys=20,
        backlog=20_000,
        keyed_backlog=500,
        side_input_backlog=300,
        chunk=16,
        chunks=100,
        entities=(4, 40),
        rate_rounds=1,
        million=400,
        million_rate=100,
        million_seconds=2,
    ),
)
"""For trying whether everything runs; too small to say anything about the goals."""
