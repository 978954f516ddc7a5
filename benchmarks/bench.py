"""What a work is given: sizes, data, sides to run in turn, and where to put things."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.data import census, first_entities
from benchmarks.side import Measured, Side, run_side
from benchmarks.sizes import Size, Sizes
from modelfleet.errors import MissingExtraError

BASELINES = {
    "naive Beam": "benchmarks.baselines.naive_beam",
    "pandas loop": "benchmarks.baselines.pandas_loop",
    "joblib(2)": "benchmarks.baselines.joblib_pool",
    "Polars": "benchmarks.baselines.polars_groups",
    "Ray": "benchmarks.baselines.ray_tasks",
    "Spark applyInPandas": "benchmarks.baselines.spark_groups",
}
"""Who else can do the gated step."""


@dataclass(eq=False)
class Bench:
    """One call of the benchmark.

    Attributes:
        sizes: How much is worked on.
        repeats: Rounds of each comparison.
        wanted: Names of the works to measure.
        against: Baselines to measure; None means all.
        cache: Folder of data; kept.
        scratch: Folder of fleets, champions and models; removed at the end.
        say: Told what is going on, one line at a time.
        missing: Why a side could not run, by its name.
    """

    sizes: Sizes
    repeats: int
    wanted: frozenset[str]
    against: frozenset[str] | None
    cache: Path
    scratch: Path
    say: Callable[[str], None]
    missing: dict[str, str] = field(default_factory=dict)
    _number: Iterator[int] = field(default_factory=itertools.count)

    def wants(self, *works: str) -> bool:
        """Return whether any of these works is to be measured."""
        return bool(self.wanted & set(works))

    def wants_baseline(self, name: str) -> bool:
        """Return whether a baseline is to be measured."""
        return self.against is None or name in self.against

    def census(self, size: Size, zipf: float | None = None) -> Path:
        """Return census-like data from the cache; see ``benchmarks.data``."""
        return census(self.cache, size, zipf)

    def folder(self, name: str) -> Path:
        """Return a new, empty place below the scratch folder."""
        return self.scratch / f"{next(self._number):03d}-{name}"

    def champion(self, data: Path, parameters: Mapping[str, Any] | None = None, shards: int | None = None) -> Path:
        """Return a home folder in which all models of a first run serve.

        Args:
            data: What they are trained on.
            parameters: Of the trees; None means those of the candidates.
            shards: Into which the fleet is divided; None means the spec's default.
        """
        home = self.folder("home")
        self.once(Side("a first champion", "benchmarks.ours.champion", _told(home, data, parameters, shards)))
        return home

    def pickled_champions(self, data: Path) -> Path:
        """Return a folder with the pickled pipelines that serve the baselines."""
        folder = self.folder("champions")
        config = {"data": str(data), "folder": str(folder)}
        self.once(Side("the baselines' champions", "benchmarks.baselines.champions", config))
        return folder

    def once(self, side: Side) -> Measured:
        """Run a side once."""
        self.say(side.name)
        return run_side(side)

    def rounds(self, sides: Sequence[Side]) -> dict[str, list[Measured]]:
        """Run sides in turn, round after round, so that what disturbs the machine disturbs all of them alike.

        Args:
            sides: What to compare; names must differ.

        Returns:
            What each round measured, by the side's name. A side whose library is not installed is left out and noted
            in ``missing``.
        """
        found: dict[str, list[Measured]] = {side.name: [] for side in sides if side.name not in self.missing}
        for number in range(self.repeats):
            for side in sides:
                if side.name not in found or (side.most_rounds is not None and number >= side.most_rounds):
                    continue
                self.say(f"{side.name}, round {number + 1} of {min(side.most_rounds or self.repeats, self.repeats)}")
                try:
                    found[side.name].append(run_side(side))
                except MissingExtraError as error:
                    self.missing[side.name] = f"{error.library} is not installed"
                    del found[side.name]
        return found

    def baselines(self, data: Path, entities: int, sample: int, names: Sequence[str] = ()) -> list[Side]:
        """Return the baselines of the gated step on a sample of a data set.

        Args:
            data: The whole data set.
            entities: How many it has.
            sample: How many the baselines work on, at most.
            names: Which; none means all that are wanted.
        """
        chosen = [name for name in (names or BASELINES) if self.wants_baseline(name)]
        if not chosen:
            return []
        part = data if sample >= entities else first_entities(data, sample)
        warm = first_entities(data, min(self.sizes.warm, max(entities // 2, 1)))
        config = {
            "data": str(part),
            "champions": str(self.pickled_champions(part)),
            "warm_data": str(warm),
            "warm_champions": str(self.pickled_champions(warm)),
        }
        return [Side(name, BASELINES[name], config, most_rounds=2) for name in chosen]


def _told(home: Path, data: Path, parameters: Mapping[str, Any] | None, shards: int | None) -> dict[str, Any]:
    return {"home": str(home), "data": str(data), "parameters": dict(parameters or {}), "shards": shards}


def cpu(measured: Sequence[Measured]) -> list[float]:
    """Return the CPU seconds of each round."""
    return [one.cpu_seconds for one in measured]
