"""The releases that a process would not load, or cannot load yet."""

from __future__ import annotations

import threading
import time

from modelfleet.errors import BundleError, ModelfleetError
from modelfleet.serving.lease import Refusal

LONGEST_PAUSE = 10.0
"""Seconds between two tries of a release that this process cannot load for a trouble of its own, at most."""


class Refusals:
    """Keeps the reasons; a release is refused for good, unless the trouble is the process's own.

    Args:
        first_pause: Seconds until a release in trouble is tried again; twice as many after every further try.
    """

    def __init__(self, first_pause: float) -> None:
        self._first_pause = first_pause
        self._for_good: dict[int, str] = {}
        self._passing: dict[int, str] = {}
        self._pauses: dict[int, float] = {}
        self._again_at: dict[int, float] = {}
        self._lock = threading.Lock()

    def for_good(self, generation: int) -> bool:
        """Return whether a release is not tried again."""
        return generation in self._for_good

    def waits(self, generation: int) -> bool:
        """Return whether it is too early to try a release again."""
        return time.monotonic() < self._again_at.get(generation, 0.0)

    def add(self, generation: int, error: Exception) -> Refusal:
        """Keep why a release could not be loaded, and return it as a lease tells it."""
        reason = str(error) if isinstance(error, ModelfleetError) else f"{type(error).__name__}: {error}"
        passing = _may_pass(error)
        with self._lock:
            if passing:
                pause = min(2 * self._pauses.get(generation, self._first_pause / 2), LONGEST_PAUSE)
                self._pauses[generation] = pause
                self._again_at[generation] = time.monotonic() + pause
                self._passing[generation] = reason
            else:
                self._passing.pop(generation, None)
                self._for_good[generation] = reason
        return Refusal(generation=generation, reason=reason, passing=passing)

    def add_unreadable(self, generation: int, reason: str) -> bool:
        """Keep why a release file cannot be read, and return whether that is news; it is read again at every look."""
        with self._lock:
            news = self._passing.get(generation) != reason
            self._passing[generation] = reason
        return news

    def overcome(self, generations: set[int]) -> bool:
        """Forget the passing trouble with all but these; return whether there was any."""
        with self._lock:
            gone = self._passing.keys() - generations
            for generation in gone:
                del self._passing[generation]
        return bool(gone)

    def all(self) -> tuple[Refusal, ...]:
        """Return every refusal, oldest release first."""
        with self._lock:
            found = [Refusal(generation=g, reason=reason) for g, reason in self._for_good.items()]
            found += [Refusal(generation=g, reason=reason, passing=True) for g, reason in self._passing.items()]
        return tuple(sorted(found, key=lambda refusal: refusal.generation))


def _may_pass(error: Exception) -> bool:
    """Return whether it is this process's own trouble, by the error itself or by what a BundleError came of.

    A full disk, too little memory, a network file system that hangs: the release is none the worse for it.
    """
    cause = error.__cause__ if isinstance(error, BundleError) else error
    return isinstance(cause, OSError | MemoryError) and not isinstance(cause, FileNotFoundError)
