"""What the baselines of the gated step have in common as processes: warm-up, the smaller piece, the clock.

Configuration: ``data`` and ``champions``; ``warm_data`` and ``warm_champions``, a few entities of the same size. The
warm-up starts whatever the engine starts, so that no engine's start is on the clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.clock import Config, Work, main, timed

Train = Callable[[Path, Path, Path], int]
"""Trains every entity of a file: the data, the folder of champions, an empty folder for models; returns the models."""


def gated_main(load: Callable[[], Train]) -> None:
    """Run a baseline's process.

    Args:
        load: Imports what is needed and returns the training; a library that is missing may raise here.
    """

    def setup(config: Config) -> Work:
        train = load()

        def once(data: str, champions: str) -> dict[str, int]:
            with tempfile.TemporaryDirectory() as folder:
                return {"units": train(Path(config[data]), Path(config[champions]), Path(folder))}

        once("warm_data", "warm_champions")
        small = timed(lambda: once("warm_data", "warm_champions"))
        return lambda: {**once("data", "champions"), "small": small}

    main(setup)
