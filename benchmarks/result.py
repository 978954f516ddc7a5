"""A result: our figure, the baseline's, their ratio round by round, and whether that reaches the goal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.goals import goals


@dataclass(frozen=True)
class Result:
    """One line of the report.

    Attributes:
        work: Name of the work, as in ``goals.toml``.
        ours: Our figure, median of the rounds; None where it could not be measured (the note says why).
        baseline: The baseline's figure, likewise; None also where the work has no baseline.
        baseline_name: What was measured beside; None where nothing is.
        ratio: Median of the rounds' ratios.
        goal: The number to reach; None where the line is for information.
        met: Whether the ratio, or our figure where there is no baseline, reaches it; None without a goal. A goal
            whose work could not be measured is not met.
        unit: Of both figures.
        title: What the table calls the work.
        sense: ``at least`` or ``at most``; None without a goal.
        spread: Smallest and largest of what the goal is about, over the rounds; for a percentile its interval.
        rounds: Number of rounds, or of what a percentile is one of.
        size: What was worked on.
        note: What a reader must know: samples, scaling, what was missing.
    """

    work: str
    ours: float | None
    baseline: float | None
    baseline_name: str | None
    ratio: float | None
    goal: float | None
    met: bool | None
    unit: str
    title: str
    sense: str | None
    spread: tuple[float, float] | None
    rounds: int
    size: str = ""
    note: str = ""

    def line(self) -> str:
        """Return it in one line, for a log."""
        if self.ours is None:
            return f"{self.title}: not measured: {self.note}"
        figures = f"{self.title}: {self.ours:.4g} {self.unit}"
        if self.ratio is not None:
            return f"{figures}, {self.baseline_name} {self.baseline:.4g}, ratio {self.ratio:.4g}"
        return figures if self.baseline_name is None or not self.note else f"{figures}; {self.note}"

    def document(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def make_result(
    work: str,
    ours: Sequence[float] | None,
    baseline: Sequence[float] | None = None,
    *,
    against: str | None = None,
    size: str = "",
    note: str = "",
    title: str | None = None,
    spread: tuple[float, float] | None = None,
    repeats: int | None = None,
) -> Result:
    """Form a result from what the rounds measured.

    Args:
        work: Name of the work.
        ours: Our figure in each round; None or empty where it could not be measured.
        baseline: The baseline's in each round; where it ran in fewer rounds, they are used in turn.
        against: Name of the baseline; None means the goal's own.
        size: What was worked on.
        note: What a reader must know.
        title: What the table calls it; None means the goal's title.
        spread: An interval for a figure that is one number over many repeats, such as a percentile; None means
            smallest and largest of the rounds.
        repeats: How many repeats that number comes from; None means the rounds.

    Raises:
        KeyError: ``goals.toml`` has no such work.
    """
    goal = goals()[work]
    name = against or goal.baseline
    counts = name == goal.baseline  # goals are about one baseline; the others are for information
    ratios: list[float] = []
    if ours and baseline:
        for i in range(max(len(ours), len(baseline))):
            mine, theirs = ours[i % len(ours)], baseline[i % len(baseline)]
            ratios.append(theirs / mine if goal.ratio == "baseline / ours" else mine / theirs)
    figures = ratios if goal.ratio else list(ours or ())
    bound = goal.bound if counts else None
    met = None if bound is None else bool(figures) and bool(goal.met(statistics.median(figures)))
    return Result(
        work=work,
        ours=statistics.median(ours) if ours else None,
        baseline=statistics.median(baseline) if baseline else None,
        baseline_name=name,
        ratio=statistics.median(ratios) if ratios else None,
        goal=bound,
        met=met,
        unit=goal.unit,
        title=title or goal.title,
        sense=None if bound is None else "at most" if goal.at_least is None else "at least",
        spread=spread or ((min(figures), max(figures)) if figures else None),
        rounds=repeats or len(figures),
        size=size,
        note=note,
    )
