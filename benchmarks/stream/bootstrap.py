"""How sure a quantile or a difference is: intervals by drawing from what was seen, again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DRAWS = 10_000
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95% percentile bootstrap interval.

    Attributes:
        value: As seen.
        low: Lower end of the interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    @property
    def interval(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high


def quantile_of(sample: Sequence[float], quantile: float, *, seed: int = 5) -> Estimate:
    """Return a quantile of a sample.

    Args:
        sample: At least one value.
        quantile: Such as 0.5 for the median.
        seed: Of the drawing.
    """
    return _estimate(float(np.quantile(sample, quantile)), _drawn(sample, quantile, np.random.default_rng(seed)))


def difference(ours: Sequence[float], theirs: Sequence[float], quantile: float, *, seed: int = 5) -> Estimate:
    """Return the difference of a quantile of two samples.

    Args:
        ours: A sample.
        theirs: Another, taken under like conditions.
        quantile: Such as 0.5 for the medians.
        seed: Of the drawing.
    """
    random = np.random.default_rng(seed)
    drawn = _drawn(ours, quantile, random) - _drawn(theirs, quantile, random)
    return _estimate(float(np.quantile(ours, quantile) - np.quantile(theirs, quantile)), drawn)


def _drawn(sample: Sequence[float], quantile: float, random: np.random.Generator) -> NDArray[np.float64]:
    array = np.asarray(sample, dtype=np.float64)
    chosen = random.integers(0, len(array), (DRAWS, len(array)))
    found: NDArray[np.float64] = np.quantile(array[chosen], quantile, axis=1)
    return found


def _estimate(value: float, drawn: NDArray[np.float64]) -> Estimate:
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))
