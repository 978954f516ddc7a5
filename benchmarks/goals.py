"""The goals: what is to be reached, read from ``goals.toml``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

FILE = Path(__file__).with_name("goals.toml")

RATIOS = ("baseline / ours", "ours / baseline")


@dataclass(frozen=True)
class Goal:
    """What a work is to reach.

    Attributes:
        title: What the table calls the work.
        unit: Of the figures.
        ratio: How the ratio is formed; None where there is no baseline and the goal is about our figure.
        at_least: Smallest figure that meets the goal; None means no such bound.
        at_most: Largest figure that meets the goal; None means no such bound.
        baseline: The baseline the goal is about; None where there is none.
    """

    title: str
    unit: str
    ratio: Literal["baseline / ours", "ours / baseline"] | None = None
    at_least: float | None = None
    at_most: float | None = None
    baseline: str | None = None

    def __post_init__(self) -> None:
        if self.at_least is not None and self.at_most is not None:
            raise ValueError(f"goals.toml: '{self.title}' has both at_least and at_most; give one")
        if self.ratio is not None and self.ratio not in RATIOS:
            raise ValueError(f"goals.toml: '{self.title}': ratio is {self.ratio!r}, expected one of {RATIOS}")
        if (self.ratio is None) != (self.baseline is None):
            raise ValueError(f"goals.toml: '{self.title}': ratio and baseline go together; give both or neither")

    @property
    def bound(self) -> float | None:
        """The number to reach; None where the work is for information."""
        return self.at_most if self.at_least is None else self.at_least

    def met(self, figure: float) -> bool | None:
        """Return whether a figure reaches the goal; None where there is none."""
        if self.at_least is not None:
            return figure >= self.at_least
        return None if self.at_most is None else figure <= self.at_most


@cache
def goals() -> dict[str, Goal]:
    """Return every goal by the name of its work.

    Raises:
        ValueError: An entry contradicts itself.
    """
    return {name: Goal(**entry) for name, entry in tomllib.loads(FILE.read_text(encoding="utf-8")).items()}
