"""The account of a load: every request sent is answered, dead or lost; what is answered twice, and differently."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.stream.reader import Seen
from modelfleet.errors import ModelfleetError


@dataclass(frozen=True)
class Account:
    """What became of the requests, counted before anything is de-duplicated.

    Attributes:
        sent: Requests in the topic.
        answered: Requests with an answer.
        dead: Requests with a dead letter and no answer.
        lost: Requests with neither.
        duplicates: Answers beyond the first of their request.
        conflicting: Requests with answers of different generations.
    """

    sent: int
    answered: int
    dead: int
    lost: int
    duplicates: int
    conflicting: int

    def check(self) -> None:
        """Refuse to go on with a figure of a load whose requests were not all answered.

        Raises:
            ModelfleetError: Some were not.
        """
        if self.answered != self.sent:
            raise ModelfleetError(f"not every request was answered, so its figure means nothing: {self}")

    def __str__(self) -> str:
        return (
            f"{self.sent:,} sent, {self.answered:,} answered, {self.dead:,} dead, {self.lost:,} lost, "
            f"{self.duplicates:,} answers twice, {self.conflicting:,} of them by another generation"
        )


def account(requests: Seen, answers: Seen, dead: Seen) -> Account:
    """Count what became of requests."""
    asked = np.unique(requests.number)
    answered = np.unique(answers.number)
    died = np.setdiff1d(dead.number[dead.number >= 0], answered)
    by_both = np.unique(np.stack([answers.number, answers.generation]), axis=1)
    _, generations = np.unique(by_both[0], return_counts=True)
    return Account(
        sent=len(asked),
        answered=int(np.isin(asked, answered).sum()),
        dead=int(np.isin(asked, died).sum()),
        lost=int((~np.isin(asked, answered) & ~np.isin(asked, died)).sum()),
        duplicates=len(answers) - len(answered),
        conflicting=int((generations > 1).sum()),
    )


def latencies(requests: Seen, answers: Seen) -> NDArray[np.float64]:
    """Return the milliseconds from each answered request's sending to its first answer, in the order of sending."""
    at = _first_times(answers)
    asked = _first_times(requests)
    numbers = np.array(sorted(asked.keys() & at.keys()), dtype=np.int64)
    return np.array([at[number] - asked[number] for number in numbers.tolist()], dtype=np.float64)


def longest_gap(times: NDArray[np.int64], first: float, last: float) -> float:
    """Return the longest time without an answer in a window, in the unit of the times.

    Args:
        times: When answers came, in any order.
        first: Start of the window; the time from it to the window's first answer is a gap like any other.
        last: Its end; likewise.
    """
    inside = np.sort(times[(times > first) & (times < last)])
    return float(np.diff(np.concatenate([[first], inside, [last]])).max())


def steady_rate(times: NDArray[np.int64], *, skip: float = 0.15) -> float:
    """Return answers per second between the first and the last part of a backlog's answers.

    Args:
        times: When answers came, in milliseconds, in any order.
        skip: Share left out at both ends: starting and ending are not the steady state.
    """
    ordered = np.sort(times)
    first, last = int(len(ordered) * skip), int(len(ordered) * (1 - skip)) - 1
    # Answers come in bundles: count from one bundle's time to another's, without the first one's own
    low, high = ordered[first], ordered[last]
    inside = np.count_nonzero((ordered > low) & (ordered <= high))
    return inside * 1000.0 / float(high - low) if high > low else float("nan")


def _first_times(seen: Seen) -> dict[int, int]:
    order = np.argsort(seen.ms, kind="stable")[::-1]  # the first one is written last, and stays
    return dict(zip(seen.number[order].tolist(), seen.ms[order].tolist(), strict=True))
